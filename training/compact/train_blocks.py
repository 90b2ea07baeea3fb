"""Teach an encoder that hears whole contexts to hear a stream block by block.

The teacher is the encoder as it is, over windows of the length that it is served with; the student begins as its copy.
It learns the teacher's hidden frames, features and both alphabets, its provisional frames a little less, and what is
said (CTC). In a share of the batches the teacher hears the clean sound of what the student hears spoilt.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from streaming.encoding.block_shape import MEL_PER_FRAME, BlockShape
from training.compact.block_features import log_mel, scaled_by_hop
from training.compact.block_losses import BlockLossWeights, BlockObjective, Lesson
from training.compact.block_stretches import Shapes, StretchConfig, Stretches, StretchPool
from training.compact.block_teacher import TeacherWindows, teach
from training.compact.cache import CachedWindow
from training.compact.learning import part_file, train_part
from training.compact.targets import Lexicon, target_of
from training.compact.train_alignment import AlignmentLabels
from training.loop.config import OptimiserConfig, RunConfig
from training.loop.ports import Parts
from training.models.block_encoder import BlockEncoder, BlockOutputs, block_mask
from training.speech.batch_effects import BatchEffects


@dataclass(frozen=True, slots=True)
class BlockTrainingConfig:
    """Schedule of the training of the block encoder.

    Attributes:
        rows: stretches of a batch.
        copies: times that all speech is joined anew.
        clean_teacher: share of the batches in which the teacher hears the clean sound.
        worst_loss: rows whose CTC of an alphabet reaches this are not learnt from.
        held_out_batches: judged on, of `held_out_rows` stretches, with each right context.
    """

    steps: int = 4400
    rows: int = 64
    copies: int = 2
    stretches: StretchConfig = field(default_factory=StretchConfig)
    shapes: Shapes = field(default_factory=Shapes)
    windows: TeacherWindows = field(default_factory=TeacherWindows)
    effects: BatchEffects = field(default_factory=BatchEffects)
    losses: BlockLossWeights = field(default_factory=BlockLossWeights)
    clean_teacher: float = 0.4
    rate: float = 2e-4
    warmup_steps: int = 200
    average: float = 0.9985
    worst_loss: float = 3.0
    checkpoint_every_s: float = 180.0
    held_out_batches: int = 6
    held_out_rows: int = 16
    seed: int = 1


@dataclass(frozen=True, slots=True)
class LessonInputs:
    """Stretches, and whether the teacher hears them clean."""

    stretches: Stretches
    teacher_hears_clean: bool

    def __len__(self) -> int:
        """Stretches."""
        return len(self.stretches)

    def to(self, device: torch.device) -> "LessonInputs":
        """The same on a device."""
        return LessonInputs(self.stretches.to(device), self.teacher_hears_clean)


Batch = tuple[LessonInputs, AlignmentLabels]


class LessonSampler:
    """Batches of stretches, drawn by (seed, epoch, step).

    Args:
        pool: what they are drawn from.
        lexicon: must know every word in it.
        config: how many, of which shapes.
    """

    def __init__(self, pool: StretchPool, lexicon: Lexicon, config: BlockTrainingConfig) -> None:
        self._pool, self._lexicon, self._config = pool, lexicon, config

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Batches from step `skip` on."""
        config = self._config
        for step in range(skip, len(self)):
            rng = np.random.default_rng([config.seed, epoch, step])
            stretches, windows = self._pool.stretches(rng, config.rows, config.shapes.drawn(rng), config.effects)
            yield LessonInputs(stretches, rng.random() < config.clean_teacher), self._labels(windows)

    def once(self, right: int) -> Iterator[Batch]:
        """Always the same clean stretches, heard with this right context, for evaluation."""
        shape = self._config.shapes.having(right)
        for number in range(self._config.held_out_batches):
            stretches, windows = self._pool.held_out(number, self._config.held_out_rows, shape)
            yield LessonInputs(stretches, False), self._labels(windows)

    def _labels(self, windows: Sequence[CachedWindow]) -> AlignmentLabels:
        targets = [target_of(window, self._lexicon) for window in windows]
        return AlignmentLabels(
            tuple(target.characters for target in targets),
            tuple(target.phonemes for target in targets),
            torch.tensor([window.left_wildcard for window in windows]),
            torch.tensor([window.right_wildcard for window in windows]),
            self._config.worst_loss,
        )


@functools.cache
def _mask(frames: int, shape: BlockShape, device: torch.device) -> Tensor:
    return block_mask(frames, shape, device)


def heard_in_blocks(encoder: BlockEncoder, stretches: Stretches, raw: Tensor, reach: int) -> BlockOutputs:
    """What the encoder makes of the stretches.

    Args:
        encoder: of blocks.
        stretches: of which `raw` is the sound.
        raw: float32[n, 80, 2 · frames] of `log_mel`.
        reach: frames whose loudest scales the newest ones.
    """
    shape = stretches.shape
    # A hop ends with the frames that a block has as its right context.
    first = MEL_PER_FRAME * (shape.right % shape.block)
    mel = scaled_by_hop(raw, MEL_PER_FRAME * shape.block, first, MEL_PER_FRAME * reach)
    outputs: BlockOutputs = encoder(mel, stretches.first, shape, _mask(stretches.frames, shape, raw.device))
    return outputs


class BlockLearner(nn.Module):
    """Stretches -> what the student and the teacher make of them."""

    def __init__(self, encoder: BlockEncoder, teacher: BlockEncoder, windows: TeacherWindows) -> None:
        super().__init__()
        self.encoder, self.teacher = encoder, teacher.requires_grad_(False)
        self._windows = windows
        self.eval()

    def train(self, mode: bool = True) -> "BlockLearner":
        """Like every module, but neither drops anything: the frames to learn are exact."""
        super().train(mode)
        self.encoder.eval()
        self.teacher.eval()
        return self

    def forward(self, inputs: LessonInputs) -> Lesson:
        stretches = inputs.stretches
        with torch.no_grad(), torch.autocast(stretches.audio.device.type, enabled=False):
            clean, heard = stretches.heard(stretches.generator())
            raw = log_mel(heard)
            of_teacher = log_mel(clean) if inputs.teacher_hears_clean and heard is not clean else raw
        taught = teach(self.teacher, of_teacher, self._windows)
        return Lesson(heard_in_blocks(self.encoder, stretches, raw, self._windows.length), taught)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """`towers` is all of the student; nothing is new."""
        return {"towers": list(self.encoder.parameters()), "new": []}


class HeldOutLessons:
    """Judges by the objective over held-out stretches, with each right context that is learnt."""

    def __init__(self, sampler: LessonSampler, config: BlockTrainingConfig) -> None:
        self._sampler, self._objective = sampler, BlockObjective(config.losses)
        self._rights = [right for right, _ in config.shapes.rights]

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Every distance and CTC for each right context, and as `loss` the mean of the totals."""
        device = next(model.parameters()).device
        figures: dict[str, float] = {}
        totals = []
        for right in self._rights:
            found = [
                self._objective(model(inputs.to(device)), labels.to(device))
                for inputs, labels in self._sampler.once(right)
            ]
            for name in found[0].components:
                values = [float(one.components[name]) for one in found]
                figures[f"held_out_{name}_{right}"] = sum(values) / len(values)
            totals += [float(one.total) for one in found]
        return {**figures, "loss": sum(totals) / len(totals)}


def train_blocks(
    model: BlockLearner, sampler: LessonSampler, held_out: LessonSampler, out: Path, config: BlockTrainingConfig
) -> Mapping[str, Tensor]:
    """Run (or resume) the training in `out`; returns the averaged weights, which its checkpoint holds."""
    optimiser = OptimiserConfig(
        rate=config.rate, weight_decay=0.0, second_moment=0.98, warmup_steps=config.warmup_steps
    )
    run = RunConfig(
        epochs=1,
        precision="bf16",
        seed=config.seed,
        save_path=part_file(out, "blocks"),
        average=config.average,
        judged_by="loss",
        evaluate_every_s=config.checkpoint_every_s,
        checkpoint_every_s=config.checkpoint_every_s,
    )
    parts = Parts(model, sampler, BlockObjective(config.losses), HeldOutLessons(held_out, config))
    return train_part("blocks", parts, optimiser, run).weights
