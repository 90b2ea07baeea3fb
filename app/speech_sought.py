"""Whether anybody speaks in a source: what the voice detector of a stream would let through."""

from streaming.audio import AudioFormat, PcmDecoder
from streaming.framing import Framer
from streaming.vad import WebRtcDetector

# The detector takes the beginning of any noise for speech, until it knows the noise.
_DOUBTFUL_FRAMES = 10


class SpeechSought:
    """Looks for speech in the chunks of one source, in order.

    Args:
        audio_format: of the chunks.

    Raises:
        AudioError: the voice detector cannot be used.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._decoder = PcmDecoder(audio_format)
        self._detector = WebRtcDetector()
        self._framer = Framer(self._detector.frame_samples)
        self._spoken = 0

    def feed(self, chunk: bytes) -> None:
        """Look at s16le bytes of any length."""
        self._spoken += sum(map(self._detector.is_speech, self._framer.feed(self._decoder.feed(chunk))))

    @property
    def is_found(self) -> bool:
        """Whether more than a fifth of a second of speech came by now."""
        return self._spoken > _DOUBTFUL_FRAMES
