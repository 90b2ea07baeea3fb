"""The multi-scale grid of spans over the frames of one context, and one vector of fixed size for each span."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError

FRAME_SAMPLES = 320
"""Samples at 16 kHz under one encoder frame (20 ms)."""
PARTS = 6
"""Equal parts a span is cut into; pooled vectors have PARTS times the dimension of a frame."""


@dataclass(frozen=True, slots=True)
class SpanGrid:
    """Spans of `lengths` frames that end on every `stride`-th frame, counted back from the newest.

    Counted from the newest frame, the grids of successive hops join without a gap where the hop is a multiple of the
    stride. Raises SettingError for lengths or a stride below one frame.
    """

    lengths: tuple[int, ...] = (8, 12, 16, 20, 26, 32, 40, 50, 64, 80, 100)
    stride: int = 4

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 1:
            raise SettingError(f"span lengths {self.lengths} are not usable: give lengths of at least 1 frame")
        if self.stride < 1:
            raise SettingError(f"a span stride of {self.stride} frames is not usable: give at least 1")

    def grid(self, n_frames: int, new_from: int) -> NDArray[np.int32]:
        """The spans of a context of `n_frames` frames whose evidence is new.

        Args:
            n_frames: frames of the context.
            new_from: only spans that end after this frame bound count.

        Returns:
            int32[m, 2], first frame and last frame + 1 of each span, by end and then by length.
        """
        ends = np.arange(n_frames, max(new_from, 0), -self.stride, dtype=np.int32)[::-1]
        lengths = np.array(sorted(self.lengths), np.int32)
        starts = ends[:, None] - lengths
        spans = np.stack((starts, np.broadcast_to(ends[:, None], starts.shape)), axis=-1)
        return spans[starts >= 0]


def pool_spans(frames: NDArray[np.float32], spans: NDArray[np.int32]) -> NDArray[np.float32]:
    """The means of six equal parts of each span, side by side.

    Args:
        frames: float32[T, D].
        spans: int32[m, 2], first frame and last frame + 1, at least one frame each.

    Returns:
        float32[m, 6 * D].
    """
    return pooled_by(part_shares(len(frames), spans), frames)


def part_shares(n_frames: int, spans: NDArray[np.int32]) -> NDArray[np.float32]:
    """How much each frame counts in each part of each span: float32[6 * m, n_frames].

    Part bounds that fall inside a frame take their share of it. One product of these with the frames gives all parts of
    all spans, and is faster than differences of cumulative sums at every size of the grid. For the same spans of
    contexts of the same length they are made once.
    """
    starts, lengths = spans[:, :1], np.diff(spans, axis=1)
    bounds = starts + lengths * (np.arange(PARTS + 1) / PARTS)
    covered = np.clip(bounds[..., None] - np.arange(n_frames), 0.0, 1.0)
    shares = (np.diff(covered, axis=1) * (PARTS / lengths[..., None])).astype(np.float32)
    return shares.reshape(len(spans) * PARTS, n_frames)


def pooled_by(shares: NDArray[np.float32], frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """`part_shares` of m spans and frames float32[T, D] -> float32[m, 6 * D], the parts of each span side by side."""
    pooled: NDArray[np.float32] = shares @ frames
    return pooled.reshape(len(shares) // PARTS, PARTS * frames.shape[1])
