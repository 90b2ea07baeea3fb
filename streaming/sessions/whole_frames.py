"""Bytes of a client, cut anywhere, as whole PCM frames, and how many there were."""

from streaming.audio import AudioFormat


class WholeFrames:
    """Joins the chunks of one stream, keeps a frame that is split between two of them, and counts.

    A frame is one sample of every channel at the client's own rate.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._taken_bytes = 0
        self._split = b""

    @property
    def count(self) -> int:
        """Frames so far."""
        return self._taken_bytes // self._format.bytes_per_frame

    @property
    def duration_s(self) -> float:
        """Seconds of audio so far."""
        return self.count / self._format.sample_rate

    def take(self, chunk: bytes) -> bytes:
        """Bytes of any length -> the frames that are whole by now; the rest waits for the next chunk."""
        chunk = self._split + chunk
        whole = len(chunk) - len(chunk) % self._format.bytes_per_frame
        self._split = chunk[whole:]
        self._taken_bytes += whole
        return chunk[:whole]

    def forget_split(self) -> None:
        """The next chunk begins with a whole frame: what waits will be sent again."""
        self._split = b""
