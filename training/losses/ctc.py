"""CTC (Graves et al., "Connectionist Temporal Classification", 2006) where words may be cut by an edge."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.models.interfaces import RetrieverLabels

_NEVER = -1e4


def edge_column(length: int, left: Tensor, right: Tensor, frames: Tensor | None = None) -> Tensor:
    """Log-probabilities of the wildcard, float32[n, length]: 0 in the first `left` and last `right`, else -1e4.

    The last are counted from the end of a row's `frames`, int64[n]; None: from `length`.
    """
    frame = torch.arange(length, device=left.device)[None, :]
    end = length if frames is None else frames[:, None]
    inside = (frame < left[:, None]) | (frame >= end - right[:, None])
    return torch.where(inside, 0.0, _NEVER)


def ctc_with_edges(
    log_probs: Tensor, targets: Sequence[Tensor], left: Tensor, right: Tensor, frames: Tensor | None = None
) -> Tensor:
    """CTC per target symbol (wildcards count) where words cut by an edge are a wildcard: float32[n], 0 where none fits.

    Args:
        log_probs: float32[n, t, v], normalised over v; symbol 0 is the blank.
        targets: n tensors int64[l_i] without blanks, only of what is wholly heard.
        left: int64[n], frames at the start that a cut word covers (0: none).
        right: int64[n], the same at the end.
        frames: int64[n], true length of each row; None: all are t long.

    The wildcard is one more symbol, put at that end of the target, with probability 1 inside the edge region.
    """
    n, length, vocabulary = log_probs.shape
    wild = edge_column(length, left, right, frames)[:, :, None]
    extended = torch.cat([log_probs, wild.to(log_probs.dtype)], dim=2)
    symbol = torch.tensor([vocabulary], device=log_probs.device)
    cut = torch.stack([left, right], 1).gt(0).tolist()
    rows = [
        torch.cat([symbol] * at_start + [target] + [symbol] * at_end)
        for target, (at_start, at_end) in zip(targets, cut, strict=True)
    ]
    lengths = torch.tensor([len(row) for row in rows], device=log_probs.device)
    losses = functional.ctc_loss(
        extended.transpose(0, 1),
        torch.cat(rows),
        torch.full((n,), length, device=log_probs.device) if frames is None else frames,
        lengths,
        reduction="none",
        zero_infinity=True,
    )
    return losses / lengths.clamp(min=1)


def alignment_losses(characters: Tensor, phonemes: Tensor, labels: RetrieverLabels) -> Tensor:
    """CTC of both heads, one after the other, for the rows whose target is known: float32[k], empty where none is.

    Args:
        characters: float32[n, t, 29], log-probabilities.
        phonemes: float32[n, t, 41], the same.
        labels: targets, edges and true lengths of the n rows.

    Raises:
        ValueError: the labels have no true lengths, so padding would be aligned as well.
    """
    if labels.frames is None:
        raise ValueError("the labels have no frames; give RetrieverLabels(frames=inputs.frames)")
    losses = []
    for log_probs, targets in ((characters, labels.characters), (phonemes, labels.phonemes)):
        known = [i for i, target in enumerate(targets) if len(target)]
        if not known:
            losses.append(log_probs[:0, 0, 0])
            continue
        rows = torch.tensor(known, device=log_probs.device)
        losses.append(
            ctc_with_edges(
                log_probs[rows],
                [targets[i] for i in known],
                labels.left[rows],
                labels.right[rows],
                labels.frames[rows],
            )
        )
    return torch.cat(losses)
