"""The one bounded queue of a connection, between the socket and the session."""

import asyncio
from collections import deque
from typing import TypeAlias

Frame: TypeAlias = bytes | str

# What an empty frame weighs, so that a flood of them is bounded too.
_FRAME_OVERHEAD = 64


class Inbox:
    """Frames in their order, at most `limit_bytes` of them (one always fits); for one writer and one reader.

    A full inbox makes its writer wait: it no longer reads the socket, so the client is slowed down and no audio is
    lost. `overflows` counts the stretches of waiting; one ends when the reader waits for the writer again.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.overflows = 0
        self._limit = limit_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._overflowing = self._writer_waits = False
        self._ended = False
        self._changed = asyncio.Event()

    async def put(self, frame: Frame) -> None:
        """Add a frame, after waiting for room; a frame for an inbox that has ended is dropped."""
        weight = _weight(frame)
        while self._frames and self._bytes + weight > self._limit and not self._ended:
            self.overflows += not self._overflowing
            self._overflowing = self._writer_waits = True
            await self._wait()
        self._writer_waits = False
        if not self._ended:
            self._frames.append(frame)
            self._bytes += weight
            self._changed.set()

    async def get(self) -> Frame | None:
        """Take the oldest frame, after waiting for one; None once the inbox has ended."""
        while not self._frames and not self._ended:
            self._overflowing = self._writer_waits
            await self._wait()
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= _weight(frame)
        self._changed.set()
        return frame

    def end(self) -> None:
        """Forget the frames that wait; none comes any more."""
        self._ended = True
        self._frames.clear()
        self._bytes = 0
        self._changed.set()

    async def _wait(self) -> None:
        # The writer waits for room and the reader for a frame: never both, so one event serves the two.
        self._changed.clear()
        await self._changed.wait()


def _weight(frame: Frame) -> int:
    return len(frame) + _FRAME_OVERHEAD
