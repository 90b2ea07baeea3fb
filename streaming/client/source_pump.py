"""From a source that blocks to frames that an event loop can wait for."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

from streaming.audio import AudioFormat

_FRAMES_AHEAD = 8
_MIN_FRAME_MS = 20
_MAX_FRAME_MS = 100


def cut_frames(chunks: Iterable[bytes], audio_format: AudioFormat) -> Iterator[bytes]:
    """Chunks of any length -> frames of 20 to 100 ms, sent on as soon as they may be; only the last may be shorter."""
    bytes_per_ms = audio_format.sample_rate * audio_format.bytes_per_frame / 1000
    shortest, longest = (
        round(ms * bytes_per_ms) // audio_format.bytes_per_frame * audio_format.bytes_per_frame
        for ms in (_MIN_FRAME_MS, _MAX_FRAME_MS)
    )
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= shortest:
            whole = len(waiting) // audio_format.bytes_per_frame * audio_format.bytes_per_frame
            frame = bytes(waiting[: min(whole, longest)])
            del waiting[: len(frame)]
            yield frame
    if waiting:
        yield bytes(waiting)


class SourcePump:
    """Frames from a daemon thread: one that waits for its source forever does not keep the program from ending."""

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._taken: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(_FRAMES_AHEAD)
        self._stopped = False
        threading.Thread(target=self._run, args=(frames,), name="audio source", daemon=True).start()

    async def get(self) -> bytes | None:
        """The next frame, None after the last. Raises what the source raised."""
        frame = await self._taken.get()
        self._room.release()
        if isinstance(frame, Exception):
            raise frame
        return frame

    def end(self) -> None:
        """Let the frames end with those that are there, as if the source had."""
        self.stop()
        self._taken.put_nowait(None)

    def stop(self) -> None:
        """Take no more frames."""
        self._stopped = True
        self._room.release()

    def _run(self, frames: Iterable[bytes]) -> None:
        end: Exception | None = None
        try:
            for frame in frames:
                self._room.acquire()
                if self._stopped:
                    return
                self._hand_over(frame)
        except Exception as error:
            end = error
        self._hand_over(end)

    def _hand_over(self, frame: bytes | Exception | None) -> None:
        # The loop may have closed while the source was waited for; then nobody misses the frame.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._taken.put_nowait, frame)
