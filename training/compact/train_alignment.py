"""Train the upper tower and the alignment head on cached frames.

One loop, read from top to bottom: sample a batch of one window length, spoil the frames a little, CTC of both heads,
step, average the weights, and every few minutes score held-out speech and write a checkpoint that resumes exactly.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.compact.cache import CachedFrames
from training.compact.targets import Lexicon, Target, target_of
from training.corpus.manifest import ManifestError
from training.loop.checkpoint import Run, warm_cosine
from training.losses.ctc import ctc_with_edges
from training.models.heads import AlignmentHead
from training.models.whisper import UpperTower


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames float32[n, t, width], targets and the frames lost to cut words."""

    hidden: Tensor
    targets: Sequence[Target]
    left: Tensor
    right: Tensor


class BatchSampler:
    """Endless batches of one length each, drawn by a generator whose state is part of the checkpoint."""

    def __init__(self, blocks: Sequence[CachedFrames], lexicon: Lexicon, config: AlignmentTrainingConfig) -> None:
        self._blocks, self._config = blocks, config
        self._targets = [[target_of(w, lexicon) for w in block.windows] for block in blocks]
        self.rng = np.random.default_rng(config.seed)
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

    def __iter__(self) -> Iterator[Batch]:
        while True:
            block = int(self.rng.choice(len(self._blocks), p=self._shares))
            size = max(1, self._config.batch_frames // self._blocks[block].length)
            rows = np.sort(self.rng.choice(len(self._rows[block]), size, p=self._rows[block]))
            yield self.batch(block, rows)

    def batch(self, block: int, rows: NDArray[np.int64]) -> Batch:
        """The named rows of one block."""
        cached = self._blocks[block]
        return Batch(
            cached.batch(rows),
            [self._targets[block][r] for r in rows],
            torch.tensor([cached.windows[r].left_wildcard for r in rows]),
            torch.tensor([cached.windows[r].right_wildcard for r in rows]),
        )

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
    hidden = hidden + scale * torch.randn(hidden.shape)
    for row in range(n):
        for _ in range(int(rng.integers(0, config.time_masks + 1))):
            width = int(rng.integers(1, 11))
            start = int(rng.integers(0, length - width + 1))
            hidden[row, start : start + width] = 0.0
    return hidden


def losses_of(model: AlignmentModel, batch: Batch, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Per-row losses of both heads, float32[n] each."""
    with torch.autocast("cpu", torch.bfloat16):
        characters, phonemes, _ = model(hidden)
    of_characters = ctc_with_edges(characters.float(), [t.characters for t in batch.targets], batch.left, batch.right)
    of_phonemes = ctc_with_edges(phonemes.float(), [t.phonemes for t in batch.targets], batch.left, batch.right)
    return of_characters, of_phonemes


def held_out_loss(model: AlignmentModel, sampler: BatchSampler) -> tuple[float, float]:
    """Mean loss of each head over held-out windows."""
    model.eval()
    with torch.no_grad():
        pairs = [losses_of(model, batch, batch.hidden) for batch in sampler.once()]
    model.train()
    return tuple(float(torch.cat([p[i] for p in pairs]).mean()) for i in (0, 1))  # type: ignore[return-value]


def _update_average(average: dict[str, Tensor], model: nn.Module, step: int, decay: float) -> None:
    decay = min(decay, (step + 1) / (step + 10))
    with torch.no_grad():
        for name, value in model.state_dict().items():
            average[name].lerp_(value.float(), 1 - decay)


def train_alignment(
    model: AlignmentModel,
    sampler: BatchSampler,
    held_out: BatchSampler,
    out: Path,
    config: AlignmentTrainingConfig,
) -> dict[str, Tensor]:
    """Run (or resume) the training in `out`; returns the averaged weights."""
    torch.manual_seed(config.seed)
    groups = [
        {"params": list(model.tower.parameters()), "lr": config.tower_rate},
        {"params": list(model.head.parameters()), "lr": config.head_rate},
    ]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)
    run = Run(out / "state.pt", model, optimiser, warm_cosine(optimiser, config.warmup_steps, config.steps))
    average = {name: value.clone().float() for name, value in model.state_dict().items()}
    step = 0
    if state := run.restore():
        average = state["average"]
        sampler.rng.bit_generator.state = json.loads(state["sampler"])
        step = state["step"]
    model.train()
    saved, seen = time.monotonic(), []
    for batch in sampler:
        if step >= config.steps:
            break
        of_characters, of_phonemes = losses_of(model, batch, spoil(batch.hidden, config, sampler.rng))
        # A transcript that does not fit its audio shows as a loss far above the rest once the net has learnt.
        trusted = ((of_characters + of_phonemes).detach() < 2 * config.worst_loss) | (step < 200)
        loss = ((of_characters + of_phonemes) * trusted).sum() / max(1, int(trusted.sum()))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        run.schedule.step()
        _update_average(average, model, step, config.average)
        step += 1
        seen.append((float(of_characters.detach().mean()), float(of_phonemes.detach().mean())))
        due = time.monotonic() - saved > config.checkpoint_every_s
        if due or step == config.steps:
            live = {name: value.clone() for name, value in model.state_dict().items()}
            model.load_state_dict(average)
            held = held_out_loss(model, held_out)
            model.load_state_dict(live)
            row = {
                "step": step,
                "characters": round(float(np.mean([a for a, _ in seen])), 4),
                "phonemes": round(float(np.mean([b for _, b in seen])), 4),
                "held_out_characters": round(held[0], 4),
                "held_out_phonemes": round(held[1], 4),
                "seconds_per_step": round((time.monotonic() - saved) / len(seen), 3),
            }
            run.save(row, average=average, sampler=json.dumps(sampler.rng.bit_generator.state), step=step)
            saved, seen = time.monotonic(), []
    return average
