"""Train the span tower and the text tower on frames of the finished encoder: any run of one to three words is a term.

Positives are spans of the serving grid that cover the words best; other words of the batch, words never spoken and
wrong spans (half a term, a term and its neighbour) are the negatives.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streaming.spans import SpanGrid, pool_spans
from streaming.symbols import character_sequence
from training.compact.cache import CachedFrames
from training.loop.checkpoint import Run, warm_cosine
from training.losses.contrastive import multi_positive_info_nce
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


def vectors_of(tower: CharacterTower, texts: Sequence[str], rows: int = 96) -> Tensor:
    """float32[n, dim] of the texts; like lengths are run together, since most of a mixed batch would be padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [tower(letters_of([texts[i] for i in order[first : first + rows]])) for first in range(0, len(order), rows)]
    return torch.cat(parts)[torch.tensor(order).argsort()]


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
    """Endless batches of spans drawn from windows of the feature cache."""

    def __init__(self, blocks: Sequence[CachedFrames], config: SpanTrainingConfig) -> None:
        self._blocks, self._config, self._grid = blocks, config, SpanGrid()
        self._heard = [
            _Heard(b, r, window.words)
            for b, block in enumerate(blocks)
            for r, window in enumerate(block.windows)
            if window.words
        ]
        self.rng = np.random.default_rng(config.seed)

    def _term(self, heard: _Heard) -> tuple[str, float, float]:
        shares = self._config.term_words
        count = min(len(heard.words), 1 + int(self.rng.choice(len(shares), p=shares)))
        first = int(self.rng.integers(0, len(heard.words) - count + 1))
        some = heard.words[first : first + count]
        return " ".join(word for word, _, _ in some), some[0][1], some[-1][2]

    def _wrong(self, start: float, end: float, frames: int) -> tuple[int, int]:
        """A span that shares at most two thirds with the term: its half, or half of it and as much beside it."""
        middle, half = (start + end) / 2, max(4.0, (end - start) / 2)
        choices = [(start, middle), (middle, end), (middle, end + half), (start - half, middle)]
        first, last = choices[int(self.rng.integers(len(choices)))]
        return covering_span(max(0.0, first), min(last, frames), frames, self.rng, self._grid)

    def __iter__(self) -> Iterator[SpanBatch]:
        config = self._config
        while True:
            pooled: list[NDArray[np.float32]] = []
            wrong: list[NDArray[np.float32]] = []
            texts: list[str] = []
            while len(texts) < config.batch_spans:
                heard = self._heard[int(self.rng.integers(len(self._heard)))]
                features = np.asarray(self._blocks[heard.block].frames[heard.row], np.float32)
                spans = []
                for _ in range(2):
                    text, start, end = self._term(heard)
                    spans.append(covering_span(start, end, len(features), self.rng, self._grid))
                    texts.append(text)
                spans.append(self._wrong(start, end, len(features)))
                vectors = pool_spans(features, np.array(spans, np.int32))
                pooled += list(vectors[:2])
                if len(wrong) < config.wrong_spans:
                    wrong.append(vectors[2])
            yield SpanBatch(torch.from_numpy(np.stack(pooled + wrong)), tuple(texts))


def _stem(text: str) -> str:
    return text[:-2] if len(text) > 6 else text


def pair_masks(anchors: Sequence[str], candidates: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(positive, ignored) bool[n, m]: the same text; one holding the other's words or differing in its ending only."""
    index: dict[str, int] = {}
    for text in [*anchors, *candidates]:
        index.setdefault(text, len(index))
    a = torch.tensor([index[t] for t in anchors])
    c = torch.tensor([index[t] for t in candidates])
    positive = a[:, None] == c[None, :]
    columns_of_word: dict[str, list[int]] = {}
    columns_of_beginning: dict[str, list[int]] = {}
    columns_of_stem: dict[str, list[int]] = {}
    word_count = np.zeros(len(candidates), np.int64)
    for column, text in enumerate(candidates):
        words, stem = set(text.split(" ")), _stem(text)
        word_count[column] = len(words)
        for word in words:
            columns_of_word.setdefault(word, []).append(column)
        for end in range(1, len(stem) + 1):
            columns_of_beginning.setdefault(stem[:end], []).append(column)
        columns_of_stem.setdefault(stem, []).append(column)
    related = np.zeros((len(anchors), len(candidates)), bool)
    for row, text in enumerate(anchors):
        words, stem = set(text.split(" ")), _stem(text)
        shared = np.zeros(len(candidates), np.int64)
        for word in words:
            shared[columns_of_word.get(word, [])] += 1
        related[row] = (shared == word_count) | (shared == len(words))
        related[row, columns_of_beginning.get(stem, [])] = True
        for end in range(1, len(stem) + 1):
            related[row, columns_of_stem.get(stem[:end], [])] = True
    return positive, torch.from_numpy(related) & ~positive


class SpanModel(nn.Module):
    """Both towers and the learnt temperature."""

    def __init__(self, pooled_width: int, dim: int, temperature: float) -> None:
        super().__init__()
        self.spans = SpanTower(pooled_width, dim)
        self.text = CharacterTower(dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))


def embed_texts(tower: CharacterTower, texts: Sequence[str], buckets: int = 4) -> Tensor:
    """Vectors float32[n, dim] of texts in their order; texts of like length are run together, so little is padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    size = -(-len(texts) // buckets)
    with torch.autocast("cpu", torch.bfloat16):
        parts = [tower(letters_of([texts[i] for i in order[f : f + size]])) for f in range(0, len(order), size)]
    return torch.cat(parts).float()[torch.tensor(order).argsort()]


def train_spans(
    model: SpanModel, sampler: SpanSampler, unspoken: Sequence[str], out: Path, config: SpanTrainingConfig
) -> None:
    """Run (or resume) the training in `out`."""
    torch.manual_seed(config.seed)
    optimiser = torch.optim.AdamW(model.parameters(), config.rate, betas=(0.9, 0.98), weight_decay=0.01)
    run = Run(out / "state.pt", model, optimiser, warm_cosine(optimiser, config.warmup_steps, config.steps))
    step = 0
    if state := run.restore():
        sampler.rng.bit_generator.state = json.loads(state["sampler"])
        step = state["step"]
    model.train()
    saved, seen = time.monotonic(), []
    for batch in sampler:
        if step >= config.steps:
            break
        strangers = sampler.rng.choice(len(unspoken), min(config.unspoken_texts, len(unspoken)), replace=False)
        bank = sorted({*batch.texts, *(unspoken[i] for i in strangers)})
        positive, ignored = pair_masks(batch.texts, bank)
        wrong = torch.zeros(len(batch.pooled) - len(batch.texts), len(bank), dtype=torch.bool)
        with torch.autocast("cpu", torch.bfloat16):
            text_vectors = vectors_of(model.text, bank)
        similarity = model.spans(batch.pooled) @ text_vectors.float().T
        loss = multi_positive_info_nce(
            similarity, torch.cat([positive, wrong]), torch.cat([ignored, wrong]), (-model.log_scale).exp()
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        run.schedule.step()
        with torch.no_grad():
            model.log_scale.clamp_(max=math.log(100.0))
        step += 1
        right = similarity[: len(batch.texts)].detach().argmax(1)
        seen.append((float(loss.detach()), float(positive[torch.arange(len(right)), right].float().mean())))
        if time.monotonic() - saved > config.checkpoint_every_s or step == config.steps:
            row = {
                "step": step,
                "loss": round(float(np.mean([a for a, _ in seen])), 4),
                "recall@1_in_batch": round(float(np.mean([b for _, b in seen])), 4),
                "seconds_per_step": round((time.monotonic() - saved) / len(seen), 3),
            }
            run.save(row, sampler=json.dumps(sampler.rng.bit_generator.state), step=step)
            saved, seen = time.monotonic(), []
