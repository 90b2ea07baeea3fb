import itertools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streaming.spans import SpanGrid
from training.compact.cache import CachedFrames, CachedWindow
from training.compact.pairs import pair_masks
from training.compact.train_spans import (
    SpanBatch,
    SpanModel,
    SpanSampler,
    SpanTrainingConfig,
    covering_span,
    letters_by_length,
    letters_of,
    train_spans,
    vectors_of,
)

WIDTH = 8
WORDS = tuple(a + b + c for a, b, c in itertools.product("bdfgk", "aeo", "nt"))
UNSPOKEN = tuple(word + "zz" for word in WORDS)
SHORT = SpanTrainingConfig(
    steps=8, batch_spans=24, wrong_spans=8, unspoken_texts=12, warmup_steps=3, checkpoint_every_s=1e9
)


def block(windows: int, seed: int) -> CachedFrames:
    """Windows of four words of 16 frames; a word's frames are a pattern of its own."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(0).standard_normal((len(WORDS), 16, WIDTH))
    frames = rng.standard_normal((windows, 100, WIDTH)) * 0.1
    said = []
    for row in range(windows):
        chosen = rng.choice(len(WORDS), 4, replace=False)
        words = []
        for place, which in enumerate(chosen):
            first = 10 + 22 * place
            frames[row, first : first + 16] += patterns[which]
            words.append((WORDS[which], float(first), float(first + 16)))
        said.append(CachedWindow(tuple(words), 0, 0, "c"))
    return CachedFrames(100, frames.astype(np.float16), tuple(said))


def model() -> SpanModel:
    """Small towers."""
    torch.manual_seed(3)
    return SpanModel(6 * WIDTH, 16, 0.07)


def slow_pair_masks(anchors: Sequence[str], candidates: Sequence[str]) -> tuple[list[list[bool]], list[list[bool]]]:
    """Every pair by itself, as the rule reads."""

    def stem(text: str) -> str:
        return text[:-2] if len(text) > 6 else text

    def ignored(a: str, b: str) -> bool:
        words, theirs = set(a.split(" ")), set(b.split(" "))
        inside = words <= theirs or theirs <= words
        return a != b and (inside or stem(a).startswith(stem(b)) or stem(b).startswith(stem(a)))

    return [[a == b for b in candidates] for a in anchors], [[ignored(a, b) for b in candidates] for a in anchors]


@pytest.mark.parametrize("seed", range(5))
def test_pair_masks_equal_the_rule(seed: int) -> None:
    """The fast masks are those of the rule applied to each pair."""
    rng = np.random.default_rng(seed)
    words = [
        "gradient",
        "gradients",
        "grad",
        "descent",
        "a",
        "an",
        "ion",
        "ions",
        "the the",
        "calibrate",
        "calibration",
    ]
    anchors, candidates = (
        [" ".join(rng.choice(words, int(rng.integers(1, 4)))) for _ in range(size)] for size in (15, 30)
    )
    positive, ignored = pair_masks(anchors, candidates)
    assert (positive.tolist(), ignored.tolist()) == slow_pair_masks(anchors, candidates)


@pytest.mark.parametrize(
    ("anchor", "candidate", "expected"),
    [
        ("gradient", "gradient", (True, False)),
        ("gradient", "gradients", (False, True)),
        ("gradient descent", "descent", (False, True)),
        ("descent", "gradient descent", (False, True)),
        ("ion", "onion", (False, False)),
        ("gradient", "descent", (False, False)),
    ],
)
def test_pair_masks_by_example(anchor: str, candidate: str, expected: tuple[bool, bool]) -> None:
    """The same text is a positive; a part, a whole or an inflection of it is left aside; anything else is a negative."""
    positive, ignored = pair_masks([anchor], [candidate])
    assert (bool(positive[0, 0]), bool(ignored[0, 0])) == expected


def test_pair_masks_are_fast() -> None:
    """The masks of a full batch take a small part of a training step."""
    rng = np.random.default_rng(1)
    texts = [
        "".join(rng.choice(list("abcdefghij"), 8)) + " " + "".join(rng.choice(list("abcdef"), 5)) for _ in range(900)
    ]
    started = time.process_time()
    pair_masks(texts[:384], texts)
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize(("start", "end"), [(0.0, 3.0), (20.0, 31.5), (80.0, 100.0), (10.0, 99.0)])
def test_covering_spans_are_of_the_grid(start: float, end: float) -> None:
    """A covering span has a length of the grid, lies in the context and ends near the end of the term."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        first, last = covering_span(start, end, 100, rng, SpanGrid())
        assert last - first in SpanGrid().lengths
        assert 0 <= first < last <= 100
        assert last == 8 if end < 4 else end - 2 <= last <= end + 5


def test_batches_pair_spans_with_texts() -> None:
    """A batch has the spans asked for, each with words that follow one another, and wrong spans behind them."""
    config = replace(SHORT, term_words=(0.0, 1.0))
    blocks = [block(12, 1)]
    said = {" ".join(w for w, _, _ in window.words) for window in blocks[0].windows}
    batch = SpanSampler(blocks, config).drawn(np.random.default_rng(1))
    assert batch.pooled.shape == (32, 6 * WIDTH)
    assert len(batch.texts) == 24
    for text in batch.texts:
        assert text.count(" ") == 1
        assert any(text in sentence for sentence in said)


def test_letters_are_padded_with_zeros() -> None:
    """Texts become symbols with bounds; shorter ones end in zeros."""
    assert letters_of(["a b", "c"]).tolist() == [[1, 2, 1, 3, 1], [1, 4, 1, 0, 0]]


def test_recall_rises(tmp_path: Path) -> None:
    """On patterns that name their word, the right text comes to be the nearest of the batch."""
    config = replace(SHORT, steps=40, batch_spans=48, term_words=(1.0,))
    trained = model()
    sampler = SpanSampler([block(40, 1)], config)
    train_spans(trained, sampler, UNSPOKEN, tmp_path, config)
    assert recall(trained.eval()) > 0.5
    assert recall(model().eval()) < 0.2
    row = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text("utf-8").splitlines()][-1]
    assert row["step"] == 40
    assert 0.0 < row["recall@1_in_batch"] < 1.0


def recall(towers: SpanModel) -> float:
    """Share of held-out spans whose text is the nearest of all words, spoken and unspoken."""
    batch = SpanSampler([block(10, 2)], replace(SHORT, term_words=(1.0,))).drawn(np.random.default_rng(1))
    bank = [*WORDS, *UNSPOKEN]
    with torch.no_grad():
        nearest = (towers.spans(batch.pooled[:24]) @ towers.text(letters_of(bank)).T).argmax(1)
    return float(np.mean([bank[i] == text for i, text in zip(nearest.tolist(), batch.texts, strict=True)]))


class KilledError(Exception):
    """Stands for a kill."""


class MortalSampler(SpanSampler):
    """Dies before its sixth batch."""

    alive = 5

    def drawn(self, rng: np.random.Generator) -> SpanBatch:
        if not self.alive:
            raise KilledError
        self.alive -= 1
        return super().drawn(rng)


def test_resumed_training_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed some steps after a checkpoint and started again, a run ends with exactly the weights of an unbroken one."""
    blocks = [block(12, 1)]
    whole, resumed = model(), model()
    train_spans(whole, SpanSampler(blocks, SHORT), UNSPOKEN, tmp_path / "whole", SHORT)
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    config = replace(SHORT, checkpoint_every_s=3.5)
    with pytest.raises(KilledError):
        train_spans(model(), MortalSampler(blocks, config), UNSPOKEN, tmp_path / "broken", config)
    assert 0 < int((tmp_path / "broken/spans.resume/LATEST").read_text().split()[0]) < 5
    torch.manual_seed(99)  # whatever happened in the new process before
    train_spans(resumed, SpanSampler(blocks, config), UNSPOKEN, tmp_path / "broken", config)
    expected = whole.state_dict()
    assert all(torch.equal(expected[name], value) for name, value in resumed.state_dict().items())


def test_few_unspoken_texts_are_enough(tmp_path: Path) -> None:
    """With fewer texts than are asked for, all of them are the negatives."""
    config = replace(SHORT, steps=1, unspoken_texts=512)
    trained = model()
    train_spans(trained, SpanSampler([block(4, 1)], config), UNSPOKEN[:3], tmp_path, config)
    assert float(trained.log_scale.detach()) <= math.log(100.0)


def test_texts_are_embedded_by_length() -> None:
    """Running like lengths together changes neither the vectors nor their order."""
    tower = model().text.eval()
    texts = [*WORDS, "a much longer text than the others", *UNSPOKEN[:5], "x"]
    with torch.no_grad():
        vectors = vectors_of(tower, *letters_by_length(texts, rows=7))
        torch.testing.assert_close(vectors, tower(letters_of(texts)), atol=1e-5, rtol=1e-4)
