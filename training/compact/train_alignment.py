"""Train the upper tower and the alignment head on cached frames.

Batches of one window length, their frames spoilt a little; CTC of both heads; the weights are averaged, and every few
minutes the average is judged on held-out speech.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.compact.cache import CachedFrames
from training.compact.learning import part_file, train_part
from training.compact.targets import Lexicon, target_of
from training.corpus.manifest import ManifestError
from training.loop.config import OptimiserConfig, RunConfig
from training.loop.ports import Parts
from training.losses.ctc import ctc_with_edges
from training.losses.total import Losses
from training.models.heads import AlignmentHead
from training.models.whisper import UpperTower

# Before, every transcript has a great loss, right or not.
_TRUSTED_STEPS = 200


@dataclass(frozen=True, slots=True)
class AlignmentTrainingConfig:
    """Schedule of the alignment training; times in seconds of audio or wall clock as named."""

    steps: int = 1500
    batch_frames: int = 1600
    tower_rate: float = 2e-4
    head_rate: float = 1e-3
    warmup_steps: int = 100
    clip: float = 2.0
    average: float = 0.998
    noise: float = 0.15
    time_masks: int = 3
    collection_weights: dict[str, float] = field(default_factory=lambda: {"an4": 0.35})
    checkpoint_every_s: float = 180.0
    worst_loss: float = 3.0
    held_out_windows: int = 400
    seed: int = 1


class AlignmentModel(nn.Module):
    """Cached frames float32[n, t, 512] -> character and phoneme log-probabilities and features."""

    def __init__(self, tower: UpperTower, head: AlignmentHead) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out: tuple[Tensor, Tensor, Tensor] = self.head(self.tower(hidden))
        return out

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """`towers` is the pretrained upper tower, `new` the head."""
        return {
            name: [p for p in module.parameters() if p.requires_grad]
            for name, module in (("towers", self.tower), ("new", self.head))
        }


@dataclass(frozen=True, slots=True)
class AlignmentLabels:
    """What is said in n rows.

    Attributes:
        characters: n targets int64.
        phonemes: n targets int64.
        left: int64[n], frames lost to a cut word at the start.
        right: int64[n], the same at the end.
        worst: rows whose losses together reach this are not learnt from.
    """

    characters: tuple[Tensor, ...]
    phonemes: tuple[Tensor, ...]
    left: Tensor
    right: Tensor
    worst: float = math.inf

    def to(self, device: torch.device) -> "AlignmentLabels":
        """The same on a device."""
        return AlignmentLabels(
            tuple(target.to(device) for target in self.characters),
            tuple(target.to(device) for target in self.phonemes),
            self.left.to(device),
            self.right.to(device),
            self.worst,
        )


Batch: TypeAlias = tuple[Tensor, AlignmentLabels]
"""Frames float32[n, t, width], and what is said in them."""


class BatchSampler:
    """Batches of one length each, drawn by (seed, epoch, step)."""

    def __init__(self, blocks: Sequence[CachedFrames], lexicon: Lexicon, config: AlignmentTrainingConfig) -> None:
        self._blocks, self._config = blocks, config
        self._targets = [[target_of(w, lexicon) for w in block.windows] for block in blocks]
        weights = [
            np.array([config.collection_weights.get(w.collection, 1.0) for w in block.windows]) for block in blocks
        ]
        # A window that a wildcard covers nearly whole, or whose target cannot fit, teaches nothing.
        for block, weight, targets in zip(blocks, weights, self._targets, strict=True):
            for row, (window, target) in enumerate(zip(block.windows, targets, strict=True)):
                free = block.length - window.left_wildcard - window.right_wildcard
                if free < 25 or len(target.characters) > 0.8 * free:
                    weight[row] = 0.0
        self._rows = [w / max(w.sum(), 1e-9) for w in weights]
        shares = np.array([w.sum() * b.length for b, w in zip(blocks, weights, strict=True)])
        if not shares.sum() > 0:
            raise ManifestError(
                f"none of {sum(len(b.windows) for b in blocks)} cached windows can teach: they hold no half second "
                "free of cut words, or more letters than fit; bring longer recordings"
            )
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Spoilt batches from step `skip` on."""
        for step in range(skip, len(self)):
            rng = np.random.default_rng([self._config.seed, epoch, step])
            hidden, labels = self.drawn(rng)
            # A transcript that does not fit its audio shows as a loss far above the rest once the net has learnt.
            worst = math.inf if step < _TRUSTED_STEPS else 2 * self._config.worst_loss
            yield spoil(hidden, self._config, rng), replace(labels, worst=worst)

    def drawn(self, rng: np.random.Generator) -> Batch:
        """Rows of one block, by the weights of their collections."""
        block = int(rng.choice(len(self._blocks), p=self._shares))
        size = max(1, self._config.batch_frames // self._blocks[block].length)
        return self.batch(block, np.sort(rng.choice(len(self._rows[block]), size, p=self._rows[block])))

    def batch(self, block: int, rows: NDArray[np.int64]) -> Batch:
        """The named rows of one block."""
        cached, targets = self._blocks[block], [self._targets[block][r] for r in rows]
        labels = AlignmentLabels(
            tuple(target.characters for target in targets),
            tuple(target.phonemes for target in targets),
            torch.tensor([cached.windows[r].left_wildcard for r in rows]),
            torch.tensor([cached.windows[r].right_wildcard for r in rows]),
        )
        return cached.batch(rows), labels

    def once(self, size: int = 16) -> Iterator[Batch]:
        """Usable rows once, at most `held_out_windows` of each block and always the same ones, for evaluation."""
        for block in range(len(self._blocks)):
            usable = np.flatnonzero(self._rows[block])
            rows = np.sort(np.random.default_rng(0).permutation(usable)[: self._config.held_out_windows])
            for first in range(0, len(rows), size):
                yield self.batch(block, rows[first : first + size])


def spoil(hidden: Tensor, config: AlignmentTrainingConfig, rng: np.random.Generator) -> Tensor:
    """Gaussian noise of up to `noise` deviations and a few masks of 1 to 10 frames, row by row."""
    n, length, _ = hidden.shape
    scale = torch.from_numpy(rng.uniform(0, config.noise, (n, 1, 1)).astype(np.float32)) * hidden.std()
    hidden = hidden + scale * torch.from_numpy(rng.standard_normal(tuple(hidden.shape), np.float32))
    for row in range(n):
        for _ in range(int(rng.integers(0, config.time_masks + 1))):
            width = int(rng.integers(1, 11))
            start = int(rng.integers(0, length - width + 1))
            hidden[row, start : start + width] = 0.0
    return hidden


def row_losses(outputs: tuple[Tensor, Tensor, Tensor], labels: AlignmentLabels) -> tuple[Tensor, Tensor]:
    """Losses of the character and of the phoneme head, float32[n] each."""
    characters, phonemes, _ = outputs
    return (
        ctc_with_edges(characters.float(), labels.characters, labels.left, labels.right),
        ctc_with_edges(phonemes.float(), labels.phonemes, labels.left, labels.right),
    )


def alignment_objective(outputs: tuple[Tensor, Tensor, Tensor], labels: AlignmentLabels) -> Losses:
    """Mean of both heads' losses over the rows whose transcripts are trusted."""
    of_characters, of_phonemes = row_losses(outputs, labels)
    together = of_characters + of_phonemes
    trusted = together.detach() < labels.worst
    total = (together * trusted).sum() / max(1, int(trusted.sum()))
    return Losses(total, {"characters": of_characters.mean(), "phonemes": of_phonemes.mean()})


class HeldOutLoss:
    """Judges by the mean loss of each head over held-out windows."""

    def __init__(self, sampler: BatchSampler) -> None:
        self._sampler = sampler

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Of both heads, and their sum as `loss`."""
        device = next(model.parameters()).device
        pairs = [row_losses(model(hidden.to(device)), labels.to(device)) for hidden, labels in self._sampler.once()]
        characters, phonemes = (float(torch.cat([pair[head] for pair in pairs]).mean()) for head in (0, 1))
        return {"held_out_characters": characters, "held_out_phonemes": phonemes, "loss": characters + phonemes}


def train_alignment(
    model: AlignmentModel, sampler: BatchSampler, held_out: BatchSampler, out: Path, config: AlignmentTrainingConfig
) -> Mapping[str, Tensor]:
    """Run (or resume) the training in `out`; returns the averaged weights, which its checkpoint holds."""
    optimiser = OptimiserConfig(
        rate=config.tower_rate,
        projection_factor=config.head_rate / config.tower_rate,
        second_moment=0.98,
        warmup_steps=config.warmup_steps,
        clip=config.clip,
    )
    run = RunConfig(
        epochs=1,
        precision="bf16",
        seed=config.seed,
        save_path=part_file(out, "alignment"),
        average=config.average,
        judged_by="loss",
        evaluate_every_s=config.checkpoint_every_s,
        checkpoint_every_s=config.checkpoint_every_s,
    )
    parts = Parts(model, sampler, alignment_objective, HeldOutLoss(held_out))
    return train_part("alignment", parts, optimiser, run).weights
