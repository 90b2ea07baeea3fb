"""The one bounded queue of a connection, between the socket and the session."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# What an empty frame weighs, so that a flood of them is bounded too.
_FRAME_OVERHEAD = 64
# Half a second at 16 kHz: a giant frame is worked on in parts, so that other sessions have their turn in between.
_PART_BYTES = 16_384
# 16 ms at 16 kHz: less than any client is asked to send at a time.
_CRUMB_BYTES = 512


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, or a part of a long one, and when it came: seconds of the inbox's clock."""

    frame: bytes | str
    at_s: float


class Inbox:
    """Frames in their order, at most `limit_bytes` of them (one always fits); for one writer and one reader.

    A full inbox makes its writer wait: it no longer reads the socket, so the client is slowed down and no audio is
    lost. `overflows` counts the stretches of waiting; one ends when the reader waits for the writer again.
    """

    def __init__(self, limit_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.overflows = 0
        self.audio_bytes = 0
        self._limit = limit_bytes
        self._clock = clock
        self._frames: deque[Received] = deque()
        self._bytes = 0
        self._overflowing = self._writer_waits = False
        self._ended = False
        self._changed = asyncio.Event()

    async def put(self, frame: bytes | str) -> None:
        """Add a frame, after waiting for room; a frame for an inbox that has ended is dropped."""
        weight = len(frame) + _FRAME_OVERHEAD
        while self._frames and self._bytes + weight > self._limit and not self._ended:
            self.overflows += not self._overflowing
            self._overflowing = self._writer_waits = True
            await self._wait()
        self._writer_waits = False
        if not self._ended:
            now_s = self._clock()
            for part in _parts(frame):
                self._add(Received(part, now_s))
            self._changed.set()

    async def get(self) -> Received | None:
        """Take the oldest frame, after waiting for one; None once the inbox has ended and none is left."""
        while not self._frames and not self._ended:
            self._overflowing = self._writer_waits
            await self._wait()
        return self.take()

    def take(self) -> Received | None:
        """The oldest frame, if one is there."""
        if not self._frames:
            return None
        received = self._frames.popleft()
        self._bytes -= len(received.frame) + _FRAME_OVERHEAD
        if isinstance(received.frame, bytes):
            self.audio_bytes -= len(received.frame)
        self._changed.set()
        return received

    def end(self) -> None:
        """No frame comes any more; those that wait can still be taken."""
        self._ended = True
        self._changed.set()

    def clear(self) -> None:
        """No frame comes any more, and those that wait are forgotten."""
        self._frames.clear()
        self._bytes = self.audio_bytes = 0
        self.end()

    def _add(self, received: Received) -> None:
        if (joined := self._joined(received)) is not None:
            self._frames[-1] = joined
            self._bytes += len(received.frame)
            self.audio_bytes += len(received.frame)
            return
        self._frames.append(received)
        self._bytes += len(received.frame) + _FRAME_OVERHEAD
        if isinstance(received.frame, bytes):
            self.audio_bytes += len(received.frame)

    def _joined(self, received: Received) -> Received | None:
        """A crumb of audio behind the crumb that waits last, as one: a flood of them costs no more than its bytes."""
        if not self._frames:
            return None
        last = self._frames[-1]
        if not (isinstance(last.frame, bytes) and isinstance(received.frame, bytes) and last.frame and received.frame):
            return None
        if len(last.frame) + len(received.frame) > _CRUMB_BYTES:
            return None
        return Received(last.frame + received.frame, last.at_s)

    async def _wait(self) -> None:
        # The writer waits for room and the reader for a frame: never both, so one event serves the two.
        self._changed.clear()
        await self._changed.wait()


def _parts(frame: bytes | str) -> list[bytes] | list[str]:
    """A long binary frame in parts; any other as it is."""
    if isinstance(frame, str):
        return [frame]
    return [frame[start : start + _PART_BYTES] for start in range(0, len(frame), _PART_BYTES)] or [frame]
