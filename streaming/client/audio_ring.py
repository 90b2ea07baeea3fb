"""The audio that may have to be sent again."""


class AudioRing:
    """The end of a stream, by position: the index of a PCM frame (one sample of every channel) since stream start.

    Attributes:
        start: position of the first frame that is kept.
    """

    def __init__(self, bytes_per_frame: int) -> None:
        self.start = 0
        self._bytes_per_frame = bytes_per_frame
        self._kept = bytearray()

    @property
    def end(self) -> int:
        """Position of the next frame that will come."""
        return self.start + len(self._kept) // self._bytes_per_frame

    def append(self, pcm: bytes) -> None:
        """Keep more; bytes of half a frame wait for the rest of it."""
        self._kept += pcm

    def read(self, position: int, frames: int) -> bytes:
        """At most `frames` frames from `position` on, which must be kept."""
        first = (position - self.start) * self._bytes_per_frame
        last = min(first + frames * self._bytes_per_frame, len(self._kept))
        return bytes(self._kept[first : last - (last - first) % self._bytes_per_frame])

    def forget(self, before: int) -> None:
        """Keep nothing before that position."""
        forgotten = min(before, self.end) - self.start
        if forgotten > 0:
            del self._kept[: forgotten * self._bytes_per_frame]
            self.start += forgotten
