"""Train the span tower and the text tower on frames of the finished encoder: any run of one to three words is a term.

Positives are spans of the serving grid that cover the words best; other words of the batch, words never spoken and
wrong spans (half a term, a term and its neighbour) are the negatives.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streaming.spans import SpanGrid, pool_spans
from streaming.symbols import character_sequence
from training.compact.cache import CachedFrames
from training.compact.learning import part_file, train_part
from training.compact.pairs import pair_masks
from training.loop.config import OptimiserConfig, RunConfig
from training.loop.ports import Parts
from training.losses.contrastive import multi_positive_info_nce
from training.losses.total import GREATEST_LOG_SCALE, Losses
from training.models.heads import CharacterTower, SpanTower


@dataclass(frozen=True, slots=True)
class SpanTrainingConfig:
    """Schedule of the span training; `term_words` are the shares of terms of one, two, … words."""

    steps: int = 350
    batch_spans: int = 320
    wrong_spans: int = 128
    unspoken_texts: int = 320
    term_words: tuple[float, ...] = (0.6, 0.28, 0.12)
    rate: float = 1e-3
    warmup_steps: int = 60
    first_temperature: float = 0.07
    checkpoint_every_s: float = 180.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Heard:
    """Words of one window and where they are, in frames."""

    block: int
    row: int
    words: tuple[tuple[str, float, float], ...]


def letters_of(texts: Sequence[str]) -> Tensor:
    """Texts -> int64[n, longest] character ids with bounds, padded with 0."""
    sequences = [character_sequence(text.split(" ")) for text in texts]
    letters = torch.zeros(len(texts), max(map(len, sequences)), dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        letters[row, : len(sequence)] = torch.from_numpy(sequence.astype(np.int64))
    return letters


def letters_by_length(texts: Sequence[str], rows: int = 96) -> tuple[tuple[Tensor, ...], Tensor]:
    """Letters of like lengths together, as most of a mixed batch would be padding, and the place of each text there."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [letters_of([texts[i] for i in order[first : first + rows]]) for first in range(0, len(order), rows)]
    return tuple(parts), torch.tensor(order).argsort()


def vectors_of(tower: CharacterTower, letters: Sequence[Tensor], places: Tensor) -> Tensor:
    """float32[n, dim] of the texts of `letters_by_length`, in their own order."""
    return torch.cat([tower(part) for part in letters])[places]


def covering_span(start: float, end: float, frames: int, rng: np.random.Generator, grid: SpanGrid) -> tuple[int, int]:
    """A span of a grid length that holds the stretch, as the serving grid would at a random phase."""
    last = int(np.clip(round(end + rng.uniform(-1, 4)), 8, frames))
    wanted = last - start + rng.uniform(-2, 4)
    lengths = np.array(grid.lengths)
    fitting = lengths[lengths <= last]
    length = int(fitting[np.abs(fitting - wanted).argmin()])
    return last - length, last


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """`pooled` float32[n + wrong, 6·width]; the first n belong to `texts[i]`, the rest to nothing."""

    pooled: Tensor
    texts: tuple[str, ...]


class SpanSampler:
    """Draws spans from windows of the feature cache."""

    def __init__(self, blocks: Sequence[CachedFrames], config: SpanTrainingConfig) -> None:
        self._blocks, self._config, self._grid = blocks, config, SpanGrid()
        self._heard = [
            _Heard(b, r, window.words)
            for b, block in enumerate(blocks)
            for r, window in enumerate(block.windows)
            if window.words
        ]

    def _term(self, heard: _Heard, rng: np.random.Generator) -> tuple[str, float, float]:
        shares = self._config.term_words
        count = min(len(heard.words), 1 + int(rng.choice(len(shares), p=shares)))
        first = int(rng.integers(0, len(heard.words) - count + 1))
        some = heard.words[first : first + count]
        return " ".join(word for word, _, _ in some), some[0][1], some[-1][2]

    def _wrong(self, start: float, end: float, frames: int, rng: np.random.Generator) -> tuple[int, int]:
        """A span that shares at most two thirds with the term: its half, or half of it and as much beside it."""
        middle, half = (start + end) / 2, max(4.0, (end - start) / 2)
        choices = [(start, middle), (middle, end), (middle, end + half), (start - half, middle)]
        first, last = choices[int(rng.integers(len(choices)))]
        return covering_span(max(0.0, first), min(last, frames), frames, rng, self._grid)

    def drawn(self, rng: np.random.Generator) -> SpanBatch:
        """The spans of one step."""
        config = self._config
        pooled: list[NDArray[np.float32]] = []
        wrong: list[NDArray[np.float32]] = []
        texts: list[str] = []
        while len(texts) < config.batch_spans:
            heard = self._heard[int(rng.integers(len(self._heard)))]
            features = np.asarray(self._blocks[heard.block].frames[heard.row], np.float32)
            spans = []
            for _ in range(2):
                text, start, end = self._term(heard, rng)
                spans.append(covering_span(start, end, len(features), rng, self._grid))
                texts.append(text)
            spans.append(self._wrong(start, end, len(features), rng))
            vectors = pool_spans(features, np.array(spans, np.int32))
            pooled += list(vectors[:2])
            if len(wrong) < config.wrong_spans:
                wrong.append(vectors[2])
        return SpanBatch(torch.from_numpy(np.stack(pooled + wrong)), tuple(texts))


@dataclass(frozen=True, slots=True)
class SpanInputs:
    """Pooled spans float32[n, 6·width], and m texts as `letters_by_length` gives them."""

    pooled: Tensor
    letters: tuple[Tensor, ...]
    places: Tensor

    def __len__(self) -> int:
        """Spans."""
        return len(self.pooled)

    def to(self, device: torch.device) -> "SpanInputs":
        """The same on a device."""
        return SpanInputs(
            self.pooled.to(device), tuple(part.to(device) for part in self.letters), self.places.to(device)
        )


@dataclass(frozen=True, slots=True)
class SpanLabels:
    """bool[n, m] each: the texts that a span says, and those that count neither for nor against it."""

    positive: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> "SpanLabels":
        """The same on a device."""
        return SpanLabels(self.positive.to(device), self.ignored.to(device))


class SpanBatches:
    """Spans against the texts of their batch and texts never spoken, drawn by (seed, epoch, step)."""

    def __init__(self, sampler: SpanSampler, unspoken: Sequence[str], config: SpanTrainingConfig) -> None:
        self._sampler, self._unspoken, self._config = sampler, unspoken, config

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[tuple[SpanInputs, SpanLabels]]:
        """Batches from step `skip` on."""
        strangers = min(self._config.unspoken_texts, len(self._unspoken))
        for step in range(skip, len(self)):
            rng = np.random.default_rng([self._config.seed, epoch, step])
            batch = self._sampler.drawn(rng)
            drawn = rng.choice(len(self._unspoken), strangers, replace=False)
            bank = sorted({*batch.texts, *(self._unspoken[i] for i in drawn)})
            positive, ignored = pair_masks(batch.texts, bank)
            wrong = torch.zeros(len(batch.pooled) - len(batch.texts), len(bank), dtype=torch.bool)
            labels = SpanLabels(torch.cat([positive, wrong]), torch.cat([ignored, wrong]))
            yield SpanInputs(batch.pooled, *letters_by_length(bank)), labels


class SpanModel(nn.Module):
    """Both towers and the learnt temperature."""

    def __init__(self, pooled_width: int, dim: int, temperature: float) -> None:
        super().__init__()
        self.spans = SpanTower(pooled_width, dim)
        self.text = CharacterTower(dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))

    def forward(self, inputs: SpanInputs) -> Tensor:
        """Cosines float32[n, m] of spans and texts; only the text tower, which is most of the work, runs in bf16."""
        with torch.autocast(inputs.pooled.device.type, torch.bfloat16):
            texts = vectors_of(self.text, inputs.letters, inputs.places)
        cosines: Tensor = self.spans(inputs.pooled) @ texts.float().T
        return cosines

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All of it is new."""
        return {"new": list(self.parameters())}


@dataclass(frozen=True, slots=True)
class SpanObjective:
    """The contrastive loss at the model's temperature."""

    model: SpanModel

    def __call__(self, similarity: Tensor, labels: SpanLabels) -> Losses:
        """The loss; told beside it: the share of spans whose text is the nearest of the batch."""
        temperature = (-self.model.log_scale.clamp(max=GREATEST_LOG_SCALE)).exp()
        loss = multi_positive_info_nce(similarity, labels.positive, labels.ignored, temperature)
        nearest = labels.positive.gather(1, similarity.detach().argmax(1, keepdim=True))[:, 0]
        return Losses(loss, {"recall@1_in_batch": nearest[labels.positive.any(1)].float().mean()})


def train_spans(
    model: SpanModel, sampler: SpanSampler, unspoken: Sequence[str], out: Path, config: SpanTrainingConfig
) -> Mapping[str, Tensor]:
    """Run (or resume) the training in `out`; returns the weights, which its checkpoint holds."""
    optimiser = OptimiserConfig(
        rate=config.rate, projection_factor=1.0, second_moment=0.98, warmup_steps=config.warmup_steps
    )
    run = RunConfig(
        epochs=1,
        seed=config.seed,
        save_path=part_file(out, "spans"),
        checkpoint_every_s=config.checkpoint_every_s,
    )
    parts = Parts(model, SpanBatches(sampler, unspoken, config), SpanObjective(model))
    return train_part("spans", parts, optimiser, run).weights
