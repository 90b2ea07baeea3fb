"""Audio that somebody else hands over, from a thread of theirs, as a source."""

import queue
from collections.abc import Iterator

from streaming.audio import AudioFormat
from streaming.errors import SettingError


class CallbackSource:
    """A source that is fed by calls of `take`, such as those of an audio library's callback.

    `take` never waits. What finds no place is counted and replaced by as much silence, so that the clock never slips.

    Args:
        audio_format: of the audio handed over.
        queue_s: seconds of audio that may wait to be sent.

    Attributes:
        dropped_s: seconds of audio that found no place.

    Raises:
        SettingError: `queue_s` is not above 0.
    """

    def __init__(self, audio_format: AudioFormat, queue_s: float = 10.0) -> None:
        if not queue_s > 0:
            raise SettingError(f"queue_s = {queue_s:g}: give more than 0 seconds")
        self.format = audio_format
        self.dropped_s = 0.0
        self._bytes_per_second = audio_format.sample_rate * audio_format.bytes_per_frame
        self._room_bytes = round(queue_s * self._bytes_per_second)
        self._waiting: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._put_bytes = self._taken_bytes = self._missing_bytes = 0

    def take(self, pcm: bytes) -> None:
        """Hand over interleaved s16le bytes; from one thread."""
        if self._put_bytes - self._taken_bytes + len(pcm) > self._room_bytes:
            self._missing_bytes += len(pcm)
            self.dropped_s += len(pcm) / self._bytes_per_second
            return
        missing, self._missing_bytes = self._missing_bytes, 0
        self._put_bytes += len(pcm)
        self._waiting.put((missing, bytes(pcm)))

    def end(self) -> None:
        """No more audio will come."""
        self._waiting.put(None)

    def chunks(self) -> Iterator[bytes]:
        """What was handed over, as it comes, until `end`."""
        while (taken := self._waiting.get()) is not None:
            missing, pcm = taken
            while missing > 0:
                piece = min(missing, self._bytes_per_second)
                yield bytes(piece)
                missing -= piece
            yield pcm
            self._taken_bytes += len(pcm)
