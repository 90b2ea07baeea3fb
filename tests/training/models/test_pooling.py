import numpy as np
import torch

from streaming.spans import pool_spans as slowly
from training.models.pooling import pool_spans


def test_each_row_pools_as_when_serving() -> None:
    """Row by row the vectors are those of the numpy code that serves, for every length from one frame on."""
    rng = np.random.default_rng(3)
    frames = rng.standard_normal((4, 50, 5)).astype(np.float32)
    starts = rng.integers(0, 49, (4, 30))
    spans = np.stack((starts, starts + 1 + (rng.random((4, 30)) * (50 - starts - 1)).astype(np.int64)), axis=-1)
    found = pool_spans(torch.from_numpy(frames), torch.from_numpy(spans))
    for row in range(4):
        expected = slowly(frames[row], spans[row].astype(np.int32))
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_frames_get_their_gradient() -> None:
    """The analytic gradient is the numeric one."""
    frames = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    spans = torch.tensor([[[0, 9], [3, 4]], [[2, 7], [0, 5]]])
    assert torch.autograd.gradcheck(lambda x: pool_spans(x, spans), (frames,))
