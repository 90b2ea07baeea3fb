import numpy as np
import pytest
import torch

from streaming.features import LogMel, MelScale, RawLogMel
from training.compact.block_features import log_mel, scaled_alone, scaled_by_hop


def sound(rows: int, samples: int) -> torch.Tensor:
    """Noise whose loudness jumps by some decades."""
    rng = np.random.default_rng(0)
    loud = np.repeat(10 ** rng.uniform(-5, -0.5, (rows, samples // 800 + 1)), 800, axis=1)[:, :samples]
    return torch.from_numpy((rng.standard_normal((rows, samples)) * loud).astype(np.float32))


def test_log_mel_is_that_of_the_stream() -> None:
    """Row by row, ends included, before scaling and for a context by itself."""
    audio = sound(3, 16_000)
    raw = log_mel(audio)
    assert raw.shape == (3, 80, 100)
    for row in range(3):
        slow = RawLogMel()(audio[row].numpy(), 100)
        np.testing.assert_allclose(raw[row].numpy().T, slow, atol=2e-3)
        np.testing.assert_allclose(scaled_alone(raw)[row].numpy(), LogMel()(audio[row].numpy()), atol=1e-3)


@pytest.mark.parametrize(("hop", "first", "reach"), [(32, 0, 60), (32, 16, 60), (8, 2, 20), (32, 0, 1000), (7, 7, 11)])
def test_a_hop_is_scaled_as_in_a_stream(hop: int, first: int, reach: int) -> None:
    """The slow twin gets the frames of one hop after the other; the last one may be short."""
    raw = log_mel(sound(2, 32_000))
    fast = scaled_by_hop(raw, hop, first, reach)
    for row in range(2):
        scale, frames = MelScale(reach), raw[row].numpy().T
        ends = [*range(first or hop, 200, hop), 200]
        slow = [scale(frames[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        assert np.array_equal(fast[row].numpy().T, np.concatenate(slow))
    assert not torch.equal(fast, scaled_alone(raw))
