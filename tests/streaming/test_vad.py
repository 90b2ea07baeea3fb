import sys
from types import SimpleNamespace

import numpy as np
import pytest

from streaming.audio import AudioFormat, PcmDecoder, float_to_pcm16
from streaming.errors import AudioError, SettingError
from streaming.testing import synthetic_pcm
from streaming.vad import WebRtcDetector


def flags_of(detector: WebRtcDetector, pcm: bytes) -> list[bool]:
    """The flag of each frame of `pcm`."""
    samples = PcmDecoder(AudioFormat()).feed(pcm)
    return [detector.is_speech(frame) for frame in samples.reshape(-1, detector.frame_samples)]


def buzz(seconds: float) -> bytes:
    """Pulses at 120 Hz through two resonances: as near to a vowel as a formula gets."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    wave = sum(np.sin(2 * np.pi * 120 * k * time) * np.exp(-((120 * k - 600) ** 2) / 2e5) for k in range(1, 30))
    return float_to_pcm16((0.4 * wave / np.abs(wave).max()).astype(np.float32))


def test_silence_is_no_speech_and_a_vowel_is() -> None:
    """The real detector passes a loud voiced sound and no digital silence."""
    detector = WebRtcDetector()
    assert not any(flags_of(detector, synthetic_pcm([(0, 1_000)])))
    assert sum(flags_of(detector, buzz(1.0))) > 40


def test_reset_forgets_the_noise_level() -> None:
    """The same frames after reset get the same flags."""
    detector = WebRtcDetector(aggressiveness=3)
    pcm = buzz(0.4) + synthetic_pcm([(0, 400), (900, 200)])
    first = flags_of(detector, pcm)
    detector.reset()
    assert flags_of(detector, pcm) == first


def test_unknown_aggressiveness_is_refused() -> None:
    """Only the four modes of WebRTC exist."""
    with pytest.raises(SettingError, match="aggressiveness of 4"):
        WebRtcDetector(aggressiveness=4)


def test_frame_of_another_length_is_refused() -> None:
    """A frame that is not 20 ms long is told, not guessed at."""
    with pytest.raises(AudioError, match="frame of 319 samples"):
        WebRtcDetector().is_speech(np.zeros(319, np.float32))


def test_missing_library_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library there is no detector, and the message says what to install."""
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(AudioError, match=r"cannot be loaded .* pip install webrtcvad-wheels"):
        WebRtcDetector()


def test_broken_library_is_loud_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that loads but cannot judge a frame is found before the stream starts."""

    class Broken:
        def __init__(self, mode: int) -> None:
            self.mode = mode

        def is_speech(self, pcm: bytes, rate: int) -> bool:
            raise RuntimeError("unsupported processor")

    monkeypatch.setitem(sys.modules, "webrtcvad", SimpleNamespace(Vad=Broken))
    with pytest.raises(AudioError, match=r"does not work \(unsupported processor\)"):
        WebRtcDetector()
