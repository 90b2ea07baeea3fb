import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.encoding.batching import BatchingEncoder, ComputeSlots
from streaming.encoding.encoded_context import EncodedContext
from streaming.testing import FakeEncoder

CONTEXTS = [np.random.default_rng(seed).standard_normal(3200).astype(np.float32) for seed in range(24)]


class CountingEncoder:
    """Encodes one by one, remembers the sizes of its batches, and can be held up."""

    is_batchable = True

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Semaphore(0)
        self.sizes: list[int] = []
        self.at_once = self.most_at_once = 0
        self._inner = FakeEncoder()
        self._lock = threading.Lock()

    def encode_batch(self, contexts: NDArray[np.float32]) -> Sequence[EncodedContext]:
        with self._lock:
            self.sizes.append(len(contexts))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.release()
        assert self.go.wait(10)
        with self._lock:
            self.at_once -= 1
            return [self._inner.encode(context) for context in contexts]


def _encode_all(
    encoder: BatchingEncoder, slots: ComputeSlots, contexts: Sequence[NDArray[np.float32]]
) -> list[EncodedContext]:
    """Each context on a thread of its own, inside a slot."""
    results: dict[int, EncodedContext] = {}

    def run(at: int) -> None:
        with slots.held():
            results[at] = encoder.encode(contexts[at])
            assert slots.is_held

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(contexts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return [results[at] for at in range(len(contexts))]


def _at_once(threads: Sequence[threading.Thread], slots: ComputeSlots) -> None:
    """Run threads that all have asked for the only slot before any of them gets it."""
    with slots.held():
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while len(slots._waiting) < len(threads) and time.monotonic() < deadline:
            time.sleep(0.005)
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("most", [1, 3, 8])
def test_everybody_gets_the_encoding_of_the_own_context(slots: int, most: int) -> None:
    """Complaint 2: whatever shares a batch, no result is another one's; the oracle encodes alone."""
    inner = CountingEncoder()
    shared = ComputeSlots(slots)
    results = _encode_all(BatchingEncoder(inner, shared, most), shared, CONTEXTS)
    for context, result in zip(CONTEXTS, results, strict=True):
        np.testing.assert_array_equal(result.frames, FakeEncoder().encode(context).frames)
    assert sum(inner.sizes) == len(CONTEXTS)
    assert max(inner.sizes) <= most
    assert inner.most_at_once <= slots


def test_what_waits_for_a_core_is_encoded_together() -> None:
    """While the only slot is taken by a batch of one, five more come: they are one batch."""
    inner, slots, sizes = CountingEncoder(), ComputeSlots(1), list[int]()
    encoder = BatchingEncoder(inner, slots, on_batch=sizes.append)
    inner.go.clear()
    first = threading.Thread(target=_encode_all, args=(encoder, slots, CONTEXTS[:1]))
    first.start()
    assert inner.entered.acquire(timeout=10)
    rest = threading.Thread(target=_encode_all, args=(encoder, slots, CONTEXTS[1:6]))
    rest.start()
    deadline = time.monotonic() + 10
    while len(slots._waiting) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    inner.go.set()
    first.join(10)
    rest.join(10)
    # The first of the five only asks when it has its slot, so it may go alone.
    assert sizes[0] == 1
    assert sum(sizes) == 6
    assert max(sizes) >= 4


def test_contexts_of_other_lengths_do_not_share_a_batch() -> None:
    """They could not be stacked."""
    inner, slots = CountingEncoder(), ComputeSlots(2)
    mixed = [context[: 3200 if at % 2 else 1600] for at, context in enumerate(CONTEXTS)]
    results = _encode_all(BatchingEncoder(inner, slots), slots, mixed)
    assert [len(result.frames) for result in results] == [10 if at % 2 else 5 for at in range(len(mixed))]


def test_a_broken_encoder_breaks_those_who_asked_and_nobody_waits_for_ever() -> None:
    """Every caller gets the error, and the slots are free again."""

    class Broken(CountingEncoder):
        def encode_batch(self, contexts: NDArray[np.float32]) -> Sequence[EncodedContext]:
            raise ValueError("broken graph")

    slots = ComputeSlots(1)
    encoder = BatchingEncoder(Broken(), slots)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken graph"):
            encoder.encode(CONTEXTS[0])
    assert not slots.is_held
    with slots.held():
        assert slots.is_held


def test_who_cannot_be_encoded_spoils_nobody_else() -> None:
    """One context breaks every pass that it is in: the others of its batch get theirs all the same."""

    class Picky(CountingEncoder):
        def encode_batch(self, contexts: NDArray[np.float32]) -> Sequence[EncodedContext]:
            if np.isnan(contexts).any():
                raise ValueError("not a number")
            return super().encode_batch(contexts)

    contexts = [*CONTEXTS[:3], np.full(3200, np.nan, np.float32), *CONTEXTS[4:6]]
    inner, slots, sizes, told = Picky(), ComputeSlots(1), list[int](), dict[int, object]()
    encoder = BatchingEncoder(inner, slots, on_batch=sizes.append)

    def run(at: int) -> None:
        try:
            told[at] = encoder.encode(contexts[at]).frames
        except ValueError as error:
            told[at] = str(error)

    threads = [threading.Thread(target=run, args=(at,), daemon=True) for at in range(len(contexts))]
    _at_once(threads, slots)
    assert max(sizes) > 1
    assert told.pop(3) == "not a number"
    assert sorted(told) == [0, 1, 2, 4, 5]
    for at, frames in told.items():
        np.testing.assert_array_equal(frames, FakeEncoder().encode(contexts[at]).frames)


def test_a_broken_count_of_batches_leaves_nobody_waiting() -> None:
    """All of a batch get the error, not only the one whose thread ran it."""

    def broken(size: int) -> None:
        raise ValueError("broken count")

    slots, raised = ComputeSlots(1), list[str]()
    encoder = BatchingEncoder(CountingEncoder(), slots, on_batch=broken)

    def run() -> None:
        with pytest.raises(ValueError, match="broken count"):
            encoder.encode(CONTEXTS[0])
        raised.append("it")

    threads = [threading.Thread(target=run, daemon=True) for _ in range(4)]
    _at_once(threads, slots)
    assert len(raised) == len(threads)


def test_slots_are_taken_in_the_order_of_asking() -> None:
    """Nobody is overtaken: the order in which six threads compute is the order in which they asked."""
    slots, order = ComputeSlots(1), list[int]()

    def run(number: int) -> None:
        with slots.held():
            order.append(number)

    threads = []
    with slots.held():
        for number in range(6):
            threads.append(threading.Thread(target=run, args=(number,)))
            threads[-1].start()
            deadline = time.monotonic() + 10
            while len(slots._waiting) <= number and time.monotonic() < deadline:
                time.sleep(0.002)
    for thread in threads:
        thread.join(10)
    assert order == list(range(6))
