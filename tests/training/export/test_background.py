"""What spans of any speech are like: a few means of like ones."""

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.index.background import unpack_background
from streaming.spans import PARTS, SpanGrid
from streaming.spotting.span_hubs import HUBS_FILE
from streaming.symbols import CHARACTERS, PHONEMES
from training.export.background import background_files, span_hubs

Floats = NDArray[np.float32]
FRAMES = 90


def _embed(pooled: Floats) -> Floats:
    mean = pooled.reshape(len(pooled), PARTS, -1).mean(axis=1) + 1e-6
    unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return unit


def _context(frames: Floats) -> EncodedContext:
    characters = np.log(np.full((FRAMES, len(CHARACTERS)), 1 / len(CHARACTERS), np.float32))
    phonemes = np.log(np.full((FRAMES, len(PHONEMES)), 1 / len(PHONEMES), np.float32))
    return EncodedContext(characters, phonemes, frames)


def test_hubs_lie_where_spans_lie() -> None:
    """Speech of three kinds of frames has hubs near these three; the same hubs when asked again."""
    rng = np.random.default_rng(0)
    kinds = np.eye(5, dtype=np.float32)[:3]
    contexts = [_context(kinds[i % 3] + 0.02 * rng.standard_normal((FRAMES, 5)).astype(np.float32)) for i in range(12)]
    hubs = span_hubs(contexts, _embed, SpanGrid(), most=3)
    assert np.allclose(np.linalg.norm(hubs, axis=1), 1, atol=1e-5)
    assert sorted(np.argmax(hubs @ kinds.T, axis=1).tolist()) == [0, 1, 2]
    assert (hubs @ kinds.T).max(axis=1).min() > 0.99
    assert np.array_equal(hubs, span_hubs(contexts, _embed, SpanGrid(), most=3))


def test_little_speech_has_few_hubs() -> None:
    """At least one; none stands for a handful of spans."""
    rng = np.random.default_rng(1)
    some = [_context(rng.random((FRAMES, 4), np.float32)) for _ in range(2)]
    assert span_hubs(some[:1], _embed, SpanGrid(lengths=(40,), stride=30)).shape == (1, 4)
    assert 1 < len(span_hubs(some, _embed, SpanGrid())) < 10


def test_the_hubs_may_be_of_more_speech_than_the_background() -> None:
    """The background holds the contexts themselves, the hubs what is given beside them."""
    rng = np.random.default_rng(2)
    few = [_context(rng.random((FRAMES, 4), np.float32))]
    more = [_context(rng.random((FRAMES, 4), np.float32)) for _ in range(4)]
    alone, beside = background_files(few, _embed), background_files(few, _embed, iter(more))
    assert len(unpack_background(beside["background.npy"])) == 1
    assert alone["background.npy"] == beside["background.npy"]
    assert len(beside[HUBS_FILE]) > len(alone[HUBS_FILE])
