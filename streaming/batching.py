"""Many sessions on one encoder: whoever gets to compute encodes the contexts of all who wait.

No session waits for another one to come: a batch holds what came while the cores were busy, so it grows with the load
and adds no delay of its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoder import EncodedContext

Floats = NDArray[np.float32]
MOST_IN_BATCH = 8


class BatchFrameEncoder(Protocol):
    """Encodes several contexts of one length in one pass."""

    @property
    def is_batchable(self) -> bool:
        """Whether each comes out as if it were alone."""
        ...

    def encode_batch(self, contexts: Floats) -> Sequence[EncodedContext]:
        """float32[n, context_samples] -> n encoded contexts."""
        ...


class ComputeSlots:
    """As many threads compute at a time as there are cores; the others wait in the order in which they came."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._mine = threading.local()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Compute inside."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    @property
    def is_held(self) -> bool:
        """Whether this thread holds a slot."""
        return getattr(self._mine, "holds", False)

    def take(self) -> None:
        """Wait for a slot behind all who wait already; nothing for a thread that holds one."""
        if self.is_held:
            return
        with self._lock:
            turn = None
            if self._free:
                self._free -= 1
            else:
                turn = threading.Lock()
                turn.acquire()
                self._waiting.append(turn)
        if turn is not None:
            turn.acquire()
        self._mine.holds = True

    def give_back(self) -> None:
        """Let the next one compute; nothing for a thread that holds no slot."""
        if not self.is_held:
            return
        self._mine.holds = False
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class _Request:
    """One context, and what came of it."""

    def __init__(self, context: Floats) -> None:
        self.context = context
        self.done = threading.Event()
        self.encoded: EncodedContext | None = None
        self.error: Exception | None = None


class BatchingEncoder:
    """A `FrameEncoder` for the pipelines of many sessions, each on its own thread.

    Args:
        encoder: one whose results do not depend on what else is in the batch.
        slots: who may compute; shared with the sessions, so that encoding and scoring never take more than the cores.
        most: contexts of one batch.
        on_batch: told the size of each batch.
    """

    def __init__(
        self,
        encoder: BatchFrameEncoder,
        slots: ComputeSlots,
        most: int = MOST_IN_BATCH,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._encoder, self._slots, self._most, self._on_batch = encoder, slots, most, on_batch
        self._lock = threading.Lock()
        self._requests: deque[_Request] = deque()

    @property
    def is_batchable(self) -> bool:
        """Whether contexts are encoded together."""
        return self._most > 1

    def encode_batch(self, contexts: Floats) -> Sequence[EncodedContext]:
        """What the encoder behind it makes of them."""
        return self._encoder.encode_batch(contexts)

    def encode(self, context: Floats) -> EncodedContext:
        """One pass over one context, perhaps with those of others; raises what the encoder raises."""
        request = _Request(context)
        with self._lock:
            self._requests.append(request)
        was_held = self._slots.is_held
        # Those who wait for a slot go first: they may have contexts of their own to add.
        self._slots.give_back()
        self._slots.take()
        try:
            while not request.done.is_set():
                if batch := self._batch_for(request):
                    self._encode(batch)
                else:
                    self._slots.give_back()
                    request.done.wait()
                    self._slots.take()
        finally:
            if not was_held:
                self._slots.give_back()
        if request.encoded is None:
            raise request.error or RuntimeError("a context was neither encoded nor refused")
        return request.encoded

    def _batch_for(self, request: _Request) -> list[_Request]:
        """The oldest requests of one length, if `request` still waits to be taken."""
        with self._lock:
            if request not in self._requests:
                return []
            length = len(self._requests[0].context)
            batch = [one for one in self._requests if len(one.context) == length][: self._most]
            for one in batch:
                self._requests.remove(one)
        return batch

    def _encode(self, batch: Sequence[_Request]) -> None:
        self._on_batch(len(batch))
        try:
            encoded = self._encoder.encode_batch(np.stack([one.context for one in batch]))
            for one, result in zip(batch, encoded, strict=True):
                one.encoded = result
        except Exception as error:
            for one in batch:
                one.error = error
        for one in batch:
            one.done.set()
