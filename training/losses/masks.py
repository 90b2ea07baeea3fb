"""Which terms are right, wrong or neither for which rows, by the integers that stand for their normal forms."""

from dataclasses import dataclass

from torch import Tensor

from training.models.interfaces import RetrieverLabels


@dataclass(frozen=True, slots=True)
class TermMasks:
    """What a column is to a row, bool[n, m] each; no pair is two of them.

    Attributes:
        positive: the term of the column is audible in the row.
        ignored: a variant, alias or translation of an audible term, or a column that stands for no term.
        negative: everything else.
    """

    positive: Tensor
    ignored: Tensor
    negative: Tensor


def term_masks(labels: RetrieverLabels) -> TermMasks:
    """Compares keys and groups of n rows and m columns."""
    is_term = labels.term_keys >= 0
    positive = is_term & _any_equal(labels.row_terms, labels.term_keys)
    ignored = ~positive & (~is_term | _any_equal(labels.row_groups, labels.term_groups))
    return TermMasks(positive, ignored, ~(positive | ignored))


def _any_equal(rows: Tensor, columns: Tensor) -> Tensor:
    """int64[n, a] filled up with -1 and int64[m] -> bool[n, m]."""
    return ((rows[:, :, None] == columns) & (rows >= 0)[:, :, None]).any(1)
