"""Feeds the check of the declared sample rate with what a client sends."""

from streaming.audio import AudioFormat, PcmDecoder
from streaming.suspect_rate import SampleRateCheck

# A wrong rate is wrong from the start; after so much audio nothing else is to be found.
_LISTENED_S = 300.0
# A client that sends a recording as fast as it is allowed to looks like one of a wrong rate from here on.
_TELLING_FACTOR = 1.9


class RateCheck:
    """Hears the beginning of one stream. Not safe for concurrent use.

    Args:
        audio_format: as declared.
        max_realtime_factor: how fast audio may come; None where it is a live client's own affair.
    """

    def __init__(self, audio_format: AudioFormat, max_realtime_factor: float | None) -> None:
        self._check = SampleRateCheck(audio_format.sample_rate)
        self._decoder = PcmDecoder(audio_format)
        self._left_bytes = int(_LISTENED_S * audio_format.sample_rate * audio_format.bytes_per_frame)
        self._is_timed = max_realtime_factor is None or max_realtime_factor < _TELLING_FACTOR

    def feed(self, chunk: bytes, at_s: float) -> str | None:
        """Bytes of audio and when they came -> what to warn of, once in a stream; None for nothing."""
        if self._left_bytes <= 0:
            return None
        self._left_bytes -= len(chunk)
        told = self._check.feed(self._decoder.feed(chunk), at_s if self._is_timed else None)
        if told is not None:
            self._left_bytes = 0
        return told

    def restart(self) -> None:
        """The client sends again from a whole frame on; what it has to make good for comes in a burst."""
        self._decoder.reset()
        self._is_timed = False
