"""InfoNCE: van den Oord et al. (2018), in the multi-positive form of Khosla et al. (2020)."""

from torch import Tensor


def multi_positive_info_nce(
    similarity: Tensor, positive: Tensor, ignored: Tensor, temperature: float | Tensor
) -> Tensor:
    """Symmetric InfoNCE with several positives a row: a scalar.

    Args:
        similarity: float32[n, m] cosines of anchors and candidates.
        positive: bool[n, m]; a row or column without any is left out of its direction.
        ignored: bool[n, m], pairs that are neither (variants of the positive's term).
        temperature: divides the similarity.
    """
    logits = (similarity / temperature).masked_fill(ignored & ~positive, float("-inf"))

    def one_way(scores: Tensor, mask: Tensor) -> Tensor:
        used = mask.any(1)
        scores, mask = scores[used], mask[used]
        return (scores.logsumexp(1) - scores.masked_fill(~mask, float("-inf")).logsumexp(1)).mean()

    return 0.5 * (one_way(logits, positive) + one_way(logits.T, positive.T))
