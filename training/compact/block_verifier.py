"""Train the verifier on the frames of the finished block encoder.

What it will be asked about is often so new that some of its frames are provisional, so some blocks are shown as they
were heard first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.compact.block_features import log_mel
from training.compact.block_stretches import Shapes, StretchConfig, Stretches, StretchPool
from training.compact.cache import CachedWindow
from training.compact.crops import CropWriter, VerifierInputs, VerifierLabels, in_groups
from training.compact.train_blocks import heard_in_blocks
from training.compact.train_verifier import VerifierSchedule
from training.models.block_encoder import BlockEncoder, BlockOutputs
from training.speech.batch_effects import BatchEffects


def _schedule() -> VerifierSchedule:
    return VerifierSchedule(
        steps=540,
        batch_windows=64,
        crops_per_window=5,
        rate=4e-5,
        attention_factor=2.0,
        warmup_steps=100,
        average=0.998,
        held_out_windows=128,
        seed=3,
    )


@dataclass(frozen=True, slots=True)
class BlockVerifierConfig:
    """How the verifier of blocks is trained.

    Attributes:
        reach: frames whose loudest scales the newest ones, as the encoder learnt it.
        provisional_share: of the blocks that are shown as heard first.
        held_out_provisional: the same shares, each judged by.
        noise: a stretch gets up to so many deviations of it.
        longest: frames of a crop.
        groups: of like length, in which crops are passed.
    """

    schedule: VerifierSchedule = field(default_factory=_schedule)
    stretches: StretchConfig = field(default_factory=StretchConfig)
    shapes: Shapes = field(default_factory=lambda: Shapes(rights=((16, 0.8), (8, 0.2)), look_backs=((9, 1.0),)))
    effects: BatchEffects = field(default_factory=lambda: BatchEffects(share=0.6))
    reach: int = 150
    provisional_share: float = 0.2
    held_out_provisional: tuple[float, ...] = (0.0, 0.3)
    noise: float = 0.1
    longest: int = 120
    groups: int = 4


@dataclass(frozen=True, slots=True)
class StretchFrames:
    """Stretches whose frames are read: the share of blocks shown as heard first, and noise in deviations."""

    stretches: Stretches
    provisional_share: float
    noise: float

    def __len__(self) -> int:
        """Stretches."""
        return len(self.stretches)

    def to(self, device: torch.device) -> "StretchFrames":
        """The same on a device."""
        return StretchFrames(self.stretches.to(device), self.provisional_share, self.noise)


class BlockTower(nn.Module):
    """Stretches -> hidden frames float32[n, frames, width] of the finished encoder, as a verifier gets to read them."""

    def __init__(self, encoder: BlockEncoder, reach: int) -> None:
        super().__init__()
        self.encoder, self._reach = encoder, reach

    def forward(self, heard: StretchFrames) -> Tensor:
        stretches = heard.stretches
        generator = stretches.generator()
        with torch.autocast(stretches.audio.device.type, enabled=False):
            raw = log_mel(stretches.heard(generator)[1])
        outputs = heard_in_blocks(self.encoder, stretches, raw, self._reach)
        frames = with_some_provisional(outputs, heard.provisional_share, generator)
        scale = frames.std() * heard.noise * _random((len(frames), 1, 1), generator)
        return frames + scale * torch.randn(frames.shape, generator=generator, device=frames.device)


def with_some_provisional(outputs: BlockOutputs, share: float, generator: torch.Generator) -> Tensor:
    """Hidden frames float32[n, frames, width] where this share of the blocks begins with its provisional frames."""
    kept, provisional = outputs.hidden.float(), outputs.provisional.float()
    right = provisional.shape[2]
    is_first = _random((*provisional.shape[:2], 1, 1), generator) < share
    begun = torch.where(is_first, provisional, kept[:, 1:, :right])
    later = torch.cat([begun, kept[:, 1:, right:]], dim=2)
    return torch.cat([kept[:, :1], later], dim=1).flatten(1, 2)


def _random(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


Batch: TypeAlias = tuple[VerifierInputs[StretchFrames], VerifierLabels]


class StretchCropSampler:
    """Batches of crops of stretches, drawn by (seed, epoch, step).

    Args:
        pool: what they are drawn from.
        tokenizer: of the verifier.
        positions: that the verifier has; crops with a longer text are left out.
        config: how many, and what happens to them.
    """

    def __init__(self, pool: StretchPool, tokenizer: Tokenizer, positions: int, config: BlockVerifierConfig) -> None:
        self._pool, self._config = pool, config
        self._write = CropWriter(tokenizer, positions, config.schedule.crops_per_window, config.longest)

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.schedule.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Batches from step `skip` on."""
        for step in range(skip, len(self)):
            rng = np.random.default_rng([self._config.schedule.seed, epoch, step])
            batch = None
            while batch is None:
                batch = self._drawn(rng)
            yield batch

    def once(self) -> Iterator[Batch]:
        """Always the same crops of the same clean stretches, for evaluation."""
        config = self._config
        for share in config.held_out_provisional:
            for number in range(-(-config.schedule.held_out_windows // config.schedule.batch_windows)):
                shape = config.shapes.shape
                stretches, windows = self._pool.held_out(number, config.schedule.batch_windows, shape)
                heard = StretchFrames(stretches, share, 0.0)
                batch = self._batch(heard, windows, np.random.default_rng([1, number]))
                if batch is not None:
                    yield batch

    def _drawn(self, rng: np.random.Generator) -> Batch | None:
        config = self._config
        stretches, windows = self._pool.stretches(
            rng, config.schedule.batch_windows, config.shapes.drawn(rng), config.effects
        )
        return self._batch(StretchFrames(stretches, config.provisional_share, config.noise), windows, rng)

    def _batch(self, heard: StretchFrames, windows: Sequence[CachedWindow], rng: np.random.Generator) -> Batch | None:
        """Crops of all stretches; None where none is usable."""
        frames = heard.stretches.frames
        crops = [crop for row, window in enumerate(windows) for crop in self._write(row, window, frames, rng)]
        if not crops:
            return None
        groups, labels = in_groups(crops, self._config.groups)
        return VerifierInputs(heard, groups), labels
