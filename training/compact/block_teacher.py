"""What an encoder that hears whole contexts makes of longer stretches: window by window, the middle of each kept."""

from dataclasses import dataclass

import torch
from torch import Tensor

from streaming.encoding.block_shape import MEL_PER_FRAME
from training.compact.block_features import scaled_alone
from training.models.block_encoder import BlockEncoder


@dataclass(frozen=True, slots=True)
class TeacherWindows:
    """Frames of a window, frames from one to the next, and frames at the start of a window that are not learnt from."""

    length: int = 150
    step: int = 100
    unsure: int = 25

    def over(self, frames: int) -> list[tuple[int, int, int]]:
        """Windows that part a stretch: (start, first frame kept, frame after the last one kept) of each.

        Every frame is kept once; what comes before it in its window is at least `unsure` frames, but at the start.
        """
        starts = list(range(0, frames - self.length + 1, self.step))
        if starts[-1] + self.length < frames:
            starts.append(frames - self.length)
        firsts = [start + self.unsure * (start > 0) for start in starts]
        return list(zip(starts, firsts, [*firsts[1:], frames], strict=True))


@dataclass(frozen=True, slots=True)
class Taught:
    """float32[n, frames, *] of stretches: hidden frames, log-probabilities of both alphabets, features."""

    hidden: Tensor
    characters: Tensor
    phonemes: Tensor
    features: Tensor


def teach(teacher: BlockEncoder, raw: Tensor, windows: TeacherWindows) -> Taught:
    """What the teacher makes of float32[n, 80, 2 · frames] of `log_mel`; all windows go through it in one pass."""
    places = windows.over(raw.shape[2] // MEL_PER_FRAME)
    heard = [
        scaled_alone(raw[:, :, MEL_PER_FRAME * start : MEL_PER_FRAME * (start + windows.length)])
        for start, _, _ in places
    ]
    with torch.no_grad():
        outputs = teacher.whole(torch.cat(heard))
    return Taught(*(_joined(output.float(), places, len(raw)) for output in outputs))


def _joined(output: Tensor, places: list[tuple[int, int, int]], rows: int) -> Tensor:
    parts = output.split(rows)
    kept = [part[:, first - start : last - start] for part, (start, first, last) in zip(parts, places, strict=True)]
    return torch.cat(kept, dim=1)
