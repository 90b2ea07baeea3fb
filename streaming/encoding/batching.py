"""Many sessions on one encoder: whoever gets to compute encodes for all who wait.

No session waits for another one to come: a batch holds what came while the cores were busy, so it grows with the load
and adds no delay of its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.block_encoder import BlockEncoders, BlockFrameEncoder
from streaming.encoding.block_state import BlockStep, StepResult
from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.whole_contexts import WholeContexts

Floats = NDArray[np.float32]
Asked = TypeVar("Asked")
Given = TypeVar("Given")
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


class _Request(Generic[Asked, Given]):
    """What one session wants encoded, and what came of it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.done = threading.Event()
        self.given: Given | None = None
        self.error: Exception | None = None


class Batches(Generic[Asked, Given]):
    """One pass for what several threads ask for at about the same time.

    Args:
        run: what is asked for -> what each gets, in one pass.
        fits: requests of which this is the same may share a pass.
        slots: who may compute; shared with the sessions, so that encoding and scoring never take more than the cores.
        most: requests of one batch.
        on_batch: told the size of each batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Asked]], Sequence[Given]],
        fits: Callable[[Asked], Hashable],
        slots: ComputeSlots,
        most: int = MOST_IN_BATCH,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._run_all, self._fits, self._slots, self._most, self._on_batch = run, fits, slots, most, on_batch
        self._lock = threading.Lock()
        self._requests: deque[_Request[Asked, Given]] = deque()

    def run(self, asked: Asked) -> Given:
        """What comes of one request, perhaps in one pass with others; raises what the pass raises."""
        request = _Request[Asked, Given](asked)
        with self._lock:
            self._requests.append(request)
        was_held = self._slots.is_held
        # Those who wait for a slot go first: they may have something of their own to add.
        self._slots.give_back()
        self._slots.take()
        try:
            while not request.done.is_set():
                if batch := self._batch_for(request):
                    self._pass(batch)
                else:
                    self._slots.give_back()
                    request.done.wait()
                    self._slots.take()
        finally:
            if not was_held:
                self._slots.give_back()
        if request.given is None:
            raise request.error or RuntimeError("a request was neither encoded nor refused")
        return request.given

    def _batch_for(self, request: _Request[Asked, Given]) -> list[_Request[Asked, Given]]:
        """The oldest requests that fit each other, if `request` still waits to be taken."""
        with self._lock:
            if request not in self._requests:
                return []
            kind = self._fits(self._requests[0].asked)
            batch = [one for one in self._requests if self._fits(one.asked) == kind][: self._most]
            for one in batch:
                self._requests.remove(one)
        return batch

    def _pass(self, batch: Sequence[_Request[Asked, Given]]) -> None:
        """Run a batch; whatever is raised is told to those whom it concerns, for nobody else would wake them."""
        try:
            self._on_batch(len(batch))
        except Exception as error:
            for one in batch:
                one.error = error
        else:
            self._give(batch)
        for one in batch:
            one.done.set()

    def _give(self, batch: Sequence[_Request[Asked, Given]]) -> None:
        """The results, or the error; where several share it, each is tried alone, so that one spoils only its own."""
        try:
            for one, given in zip(batch, self._run_all([one.asked for one in batch]), strict=True):
                one.given = given
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for one in batch:
                self._give([one])


class BatchingEncoder:
    """A `FrameEncoder` that encodes contexts of many sessions together, each on its own thread.

    Its encoder must be one whose results do not depend on what else is in the batch, or `most` be 1.
    """

    def __init__(
        self,
        encoder: BatchFrameEncoder,
        slots: ComputeSlots,
        most: int = MOST_IN_BATCH,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._batches = Batches[Floats, EncodedContext](
            lambda contexts: encoder.encode_batch(np.stack(contexts)), len, slots, most, on_batch
        )

    def encode(self, context: Floats) -> EncodedContext:
        """One pass over one context, perhaps with those of others; raises what the encoder raises."""
        return self._batches.run(context)

    def open(self) -> WholeContexts:
        """The encoder of a stream, which hears every context anew."""
        return WholeContexts(self)


class BatchingBlocks:
    """A `FrameEncoder` that runs the steps of many sessions together, each on its own thread."""

    def __init__(
        self,
        encoders: BlockEncoders,
        slots: ComputeSlots,
        most: int = MOST_IN_BATCH,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._encoders = encoders
        self._steps = Batches[BlockStep, StepResult](
            encoders.graph.run_batch, lambda step: step.mel.shape, slots, most, on_batch
        )

    def encode(self, context: Floats) -> EncodedContext:
        """One context by itself."""
        return self._encoders.encode(context)

    def open(self) -> BlockFrameEncoder:
        """The encoder of a new stream, whose steps may run with those of others."""
        return self._encoders.open(self._steps)
