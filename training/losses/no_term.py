"""Speech without a term must stay away from every term, or no threshold can tell it from speech with one."""

from torch import Tensor


def no_term_margin_loss(similarity: Tensor, no_term: Tensor, is_term: Tensor, margin: float) -> Tensor:
    """Mean of max(0, s_max - margin) over the rows without a term: a scalar, 0 where there is none.

    s_max is the score of the hardest term, taken from the similarity itself so that its gradient reaches both towers.

    Args:
        similarity: float32[n, m] cosines of rows and terms.
        no_term: bool[n].
        is_term: bool[m], the columns that stand for a term.
        margin: cosine up to which a score costs nothing.
    """
    scores = similarity[no_term][:, is_term]
    if not scores.numel():
        return similarity.sum() * 0.0
    return (scores.amax(1) - margin).clamp(min=0.0).mean()
