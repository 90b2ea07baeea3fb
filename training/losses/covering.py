"""Scores of rows with many spans: the best span for a wrong term, the smallest covering one for a right term.

Taking the best span for the positive too would let a row be right for the wrong reason, by a neighbouring word.
"""

import torch
from torch import Tensor

from training.models.interfaces import RetrieverLabels

_PRODUCTS_AT_ONCE = 1 << 24
SHARED = 0.5
"""Spans that share less than this (intersection over union) with every occurrence of a term are wrong for it."""


def best_span_similarity(spans: Tensor, terms: Tensor) -> Tensor:
    """float32[n, s, dim] and float32[m, dim] -> float32[n, m], cosine of the best span of each row.

    Rows go in groups, since the products of all spans with all terms may not fit into memory.
    """
    rows = max(1, _PRODUCTS_AT_ONCE // max(1, spans.shape[1] * terms.shape[0]))
    return torch.cat([(part @ terms.T).max(1).values for part in spans.split(rows)])


def term_similarity(spans: Tensor, terms: Tensor, covering: Tensor) -> Tensor:
    """Cosines of rows and terms, float32[n, m].

    Args:
        spans: float32[n, s, dim], unit vectors.
        terms: float32[m, dim], unit vectors.
        covering: int64[k, 3], (row, column, span) of what is said where; the best one counts where a term is said
            more than once. Any other pair has its best span.
    """
    similarity = best_span_similarity(spans, terms)
    row, column, span = covering.unbind(1)
    said = (spans[row, span] * terms[column]).sum(-1)
    place = row * terms.shape[0] + column
    nowhere = similarity.new_full((similarity.numel(),), float("-inf"))
    covered = nowhere.scatter_reduce(0, place, said, "amax").view_as(similarity)
    return torch.where(covered.isfinite(), covered, similarity)


def spread_covering(covering: Tensor, term_keys: Tensor) -> Tensor:
    """The same for every column of a key: int64[k, 3] -> int64[k', 3]. Ranks may bring the same term twice."""
    same = term_keys[covering[:, 1]][:, None] == term_keys
    which, column = same.nonzero(as_tuple=True)
    return torch.stack([covering[which, 0], column, covering[which, 2]], dim=1)


def wrong_spans(labels: RetrieverLabels) -> Tensor:
    """bool[k, s]: for each row of `covering`, the spans of its row that are wrong for its term.

    Wrong is what shares less than `SHARED` with every place in the row where the term or a variant of it is said.

    Raises:
        ValueError: the labels have no bounds of spans.
    """
    if labels.spans is None:
        raise ValueError("the labels have no spans; give RetrieverLabels(spans=inputs.spans)")
    row, column, span = labels.covering.unbind(1)
    bounds = labels.spans[row]  # [k, s, 2]
    group = labels.term_groups[column]
    near = _overlap(bounds, labels.spans[row, span][:, None]) >= SHARED
    # Occurrences of one row and group protect their neighbourhoods for each other.
    together = (row[:, None] == row) & (group[:, None] == group)
    is_filler = (bounds == bounds.new_tensor([0, 1])).all(-1)
    protected = (together.to(torch.float32) @ near.to(torch.float32)) > 0
    return ~(protected | is_filler)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of spans int64[..., 2], broadcast."""
    common = torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])
    union = torch.maximum(a[..., 1], b[..., 1]) - torch.minimum(a[..., 0], b[..., 0])
    return common.clamp(min=0) / union.clamp(min=1)


def wrong_span_losses(
    spans: Tensor, terms: Tensor, covering: Tensor, wrong: Tensor, temperature: float | Tensor
) -> Tensor:
    """For each occurrence, minus the log share of its covering span among itself and the wrong spans: float32[k].

    This is InfoNCE over the spans of one row: half a term, its neighbours and the rest of the row are the negatives.
    Spans that overlap the term well are neither, since a listener could not tell them apart either.

    Args:
        spans: float32[n, s, dim], unit vectors.
        terms: float32[m, dim], unit vectors.
        covering: int64[k, 3].
        wrong: bool[k, s].
        temperature: divides the cosines.
    """
    row, column, span = covering.unbind(1)
    logits = torch.einsum("ksd,kd->ks", spans[row], terms[column]) / temperature
    right = logits.gather(1, span[:, None])
    others = logits.masked_fill(~wrong, float("-inf"))
    return torch.cat([right, others], 1).logsumexp(1) - right[:, 0]
