"""Spans of frames -> vectors of fixed size, in torch and with gradient (the fast twin is `streaming.spans`)."""

import torch
from torch import Tensor

from streaming.spans import PARTS


def pool_spans(frames: Tensor, spans: Tensor) -> Tensor:
    """The means of six equal parts of each span, side by side.

    Args:
        frames: float32[n, t, width].
        spans: int64[n, s, 2], first frame and last frame + 1, at least one frame each.

    Returns:
        float32[n, s, 6 * width].
    """
    # In sixths of a frame every bound is a whole number, which fp32 holds exactly where fractions would lose digits.
    starts, lengths = spans[..., :1].to(frames.dtype), spans.diff(dim=-1).to(frames.dtype)
    bounds = PARTS * starts + lengths * torch.arange(PARTS + 1, device=frames.device, dtype=frames.dtype)  # [n, s, 7]
    positions = PARTS * torch.arange(frames.shape[1], device=frames.device, dtype=frames.dtype)
    covered = (bounds[..., None] - positions).clamp(0, PARTS)  # how much of each frame lies before each bound
    weights = covered.diff(dim=2) / lengths[..., None]  # [n, s, 6, t]
    pooled: Tensor = weights.flatten(1, 2) @ frames
    return pooled.reshape(*spans.shape[:2], PARTS * frames.shape[2])
