"""Frames -> speech flags. The detector gates computing only; what the encoder sees is never cut by it."""

from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.audio import float_to_pcm16
from streaming.errors import AudioError, SettingError
from streaming.events import SAMPLE_RATE


class VoiceDetector(Protocol):
    """Says of each frame of a stream, in order, whether it holds speech."""

    @property
    def frame_samples(self) -> int:
        """Samples of one frame at 16 kHz."""
        ...

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Judge the next frame, float32[frame_samples]."""
        ...

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a new stream."""
        ...


class WebRtcDetector:
    """The voice detector of WebRTC on frames of 20 ms; `aggressiveness` 0 (passes most) to 3 (passes least).

    Raises SettingError for another aggressiveness, AudioError where the library cannot be used: a stream without its
    detector must not start (it would either compute in silence or never).
    """

    frame_samples = 320

    def __init__(self, aggressiveness: int = 2) -> None:
        if aggressiveness not in (0, 1, 2, 3):
            raise SettingError(f"a VAD aggressiveness of {aggressiveness} is not known: give 0, 1, 2 or 3")
        try:
            import webrtcvad
        except ImportError as error:
            raise AudioError(f"the voice detector cannot be loaded ({error}): pip install webrtcvad-wheels") from error
        self._new_detector = partial(webrtcvad.Vad, aggressiveness)
        try:
            self.reset()
            self.is_speech(np.zeros(self.frame_samples, np.float32))
        # The extension raises an error class of its own that derives from Exception alone.
        except Exception as error:
            raise AudioError(f"the voice detector does not work ({error}): pip install webrtcvad-wheels") from error
        self.reset()

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Judge the next frame, float32[320]; raises AudioError for a frame of another length."""
        if len(frame) != self.frame_samples:
            raise AudioError(
                f"a frame of {len(frame)} samples cannot be judged: give the {self.frame_samples} of 20 ms"
            )
        return bool(self._detector.is_speech(float_to_pcm16(frame), SAMPLE_RATE))

    def reset(self) -> None:
        """Forget the level of the noise: the next frame is the first of a new stream."""
        self._detector = self._new_detector()
