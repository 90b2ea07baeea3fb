import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from streaming.features import LogMel


@pytest.mark.parametrize("mel_bins", [80, 128])
@pytest.mark.parametrize("samples", [48_000, 16_000, 5_120])
@pytest.mark.parametrize("kind", ["noise", "tone", "silence", "speech-like"])
def test_features_equal_the_whisper_extractor(mel_bins: int, samples: int, kind: str) -> None:
    """The numpy features are those of transformers' extractor without its padding to 30 s."""
    rng = np.random.default_rng(2)
    time = np.arange(samples) / 16_000
    audio = {
        "noise": rng.standard_normal(samples) * 0.1,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "silence": np.zeros(samples),
        "speech-like": np.sin(2 * np.pi * 120 * time) * np.exp(-((time - 0.2) ** 2) * 40) + 1e-4 * rng.random(samples),
    }[kind].astype(np.float32)
    extractor = WhisperFeatureExtractor(feature_size=mel_bins)  # type: ignore[no-untyped-call]
    expected = extractor(audio, sampling_rate=16_000, padding="longest", return_tensors="np")["input_features"][0]
    found = LogMel(mel_bins)(audio)
    assert found.dtype == np.float32
    assert found.shape == (mel_bins, samples // 160)
    np.testing.assert_allclose(found, expected, atol=1e-4)
