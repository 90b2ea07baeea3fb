import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.losses.contrastive import audio_text_loss, multi_positive_info_nce


def slow_info_nce(similarity: Tensor, positive: Tensor, ignored: Tensor, temperature: float) -> float:
    """Each direction with plain loops: minus the log share of the positives among all that is not ignored."""

    def one_way(s: NDArray[np.float64], p: NDArray[np.bool_], i: NDArray[np.bool_]) -> float:
        losses = []
        for row in range(s.shape[0]):
            above = sum(math.exp(s[row, c] / temperature) for c in range(s.shape[1]) if p[row, c])
            below = sum(math.exp(s[row, c] / temperature) for c in range(s.shape[1]) if p[row, c] or not i[row, c])
            if above:
                losses.append(-math.log(above / below))
        return sum(losses) / len(losses)

    s, p, i = similarity.numpy(), positive.numpy(), ignored.numpy()
    return 0.5 * (one_way(s, p, i) + one_way(s.T, p.T, i.T))


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 7), (7, 2)])
def test_info_nce_equals_loops(n: int, m: int, temperature: float) -> None:
    """Several positives a row, ignored pairs, and rows and columns without a positive are as in plain loops."""
    torch.manual_seed(n * m)
    similarity = torch.rand(n, m, dtype=torch.float64) * 2 - 1
    positive, ignored = torch.rand(n, m) < 0.4, torch.rand(n, m) < 0.3
    positive[0, 0], positive[-1] = True, False
    found = multi_positive_info_nce(similarity, positive, ignored, temperature)
    assert float(found) == pytest.approx(slow_info_nce(similarity, positive, ignored, temperature), rel=1e-9)


def test_equal_embeddings_cost_the_log_of_the_batch() -> None:
    """Where all pairs look alike, the loss is the logarithm of the number of candidates."""
    n = 8
    loss = multi_positive_info_nce(torch.ones(n, n), torch.eye(n, dtype=torch.bool), torch.zeros(n, n) > 0, 0.07)
    assert float(loss) == pytest.approx(math.log(n), rel=1e-5)


def test_info_nce_gradient() -> None:
    """The gradient is that of finite differences, for the similarity and for the temperature."""
    torch.manual_seed(5)
    similarity = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    positive = torch.eye(4, 5, dtype=torch.bool)
    ignored = torch.zeros(4, 5, dtype=torch.bool)
    ignored[0, 1] = True
    assert torch.autograd.gradcheck(
        lambda s, t: multi_positive_info_nce(s, positive, ignored, t), (similarity, temperature)
    )


def test_nothing_positive_costs_nothing() -> None:
    """Without a positive the loss is 0 and still has a gradient, which is 0 too."""
    similarity = torch.rand(3, 4, requires_grad=True)
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    loss = multi_positive_info_nce(similarity, nothing, nothing, 0.1)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert similarity.grad is not None
    assert not similarity.grad.any()


def test_same_transcripts_are_no_negatives() -> None:
    """Rows that say the same are positives of each other; rows without a transcript take no part."""
    torch.manual_seed(2)
    chunks, texts = (torch.randn(5, 6, dtype=torch.float64) for _ in range(2))
    keys = torch.tensor([4, -1, 7, 4, -1])
    known = [0, 2, 3]
    positive = keys[known][:, None] == keys[known]
    slow = slow_info_nce((chunks @ texts.T)[known][:, known], positive, positive & ~positive, 0.2)
    assert float(audio_text_loss(chunks, texts, keys, 0.2)) == pytest.approx(slow, rel=1e-9)


def test_audio_text_gradient() -> None:
    """The gradient reaches both towers as finite differences say."""
    torch.manual_seed(3)
    chunks, texts = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    keys = torch.tensor([1, 1, 2, -1])
    assert torch.autograd.gradcheck(lambda c, t: audio_text_loss(c, t, keys, 0.5), (chunks, texts))
