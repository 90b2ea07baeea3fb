"""The terms most like a row that are not said in it must score below those that are."""

from torch import Tensor

from training.losses.masks import TermMasks


def hard_negative_loss(similarity: Tensor, masks: TermMasks, hardest: int, margin: float) -> Tensor:
    """Mean of max(0, s_negative - s_positive + margin): a scalar, 0 where no row has both.

    The mean is over the pairs of each positive of a row with each of the `hardest` best scored negatives of that row.

    Args:
        similarity: float32[n, m] cosines of rows and terms.
        masks: which columns are what to each row.
        hardest: negatives that count; all of a row that has fewer.
        margin: cosine by which a positive must be above.
    """
    row, column = masks.positive.nonzero(as_tuple=True)
    worst = similarity.masked_fill(~masks.negative, float("-inf")).topk(min(hardest, similarity.shape[1])).values[row]
    excess = (worst - similarity[row, column][:, None] + margin)[worst.isfinite()]
    if not excess.numel():
        return similarity.sum() * 0.0
    return excess.clamp(min=0.0).mean()
