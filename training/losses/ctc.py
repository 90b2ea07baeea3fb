"""CTC (Graves et al., "Connectionist Temporal Classification", 2006) where words may be cut by an edge."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_NEVER = -1e4


def edge_column(length: int, left: Tensor, right: Tensor) -> Tensor:
    """Log-probabilities of the wildcard, float32[n, length]: 0 in the first `left` and last `right`, else -1e4."""
    frame = torch.arange(length)[None, :]
    inside = (frame < left[:, None]) | (frame >= length - right[:, None])
    return torch.where(inside, 0.0, _NEVER)


def ctc_with_edges(log_probs: Tensor, targets: Sequence[Tensor], left: Tensor, right: Tensor) -> Tensor:
    """CTC per target symbol (wildcards count) where words cut by an edge are a wildcard: float32[n], 0 where none fits.

    Args:
        log_probs: float32[n, t, v], normalised over v; symbol 0 is the blank.
        targets: n tensors int64[l_i] without blanks, only of what is wholly heard.
        left: int64[n], frames at the start that a cut word covers (0: none).
        right: int64[n], the same at the end.

    The wildcard is one more symbol, put at that end of the target, with probability 1 inside the edge region.
    """
    n, length, vocabulary = log_probs.shape
    wild = edge_column(length, left, right)[:, :, None]
    extended = torch.cat([log_probs, wild.to(log_probs.dtype)], dim=2)
    symbol = torch.tensor([vocabulary])
    rows = []
    for row in range(n):
        parts = [symbol] * bool(left[row] > 0) + [targets[row]] + [symbol] * bool(right[row] > 0)
        rows.append(torch.cat(parts))
    lengths = torch.tensor([len(row) for row in rows])
    losses = functional.ctc_loss(
        extended.transpose(0, 1),
        torch.cat(rows),
        torch.full((n,), length),
        lengths,
        reduction="none",
        zero_infinity=True,
    )
    return losses / lengths.clamp(min=1)
