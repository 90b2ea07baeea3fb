from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from streaming.spans import SpanGrid
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import Word
from training.loop.rows import CONTEXT_SAMPLES, alignment_target, crop, draw_spans, smallest_covering


def spell(words: Sequence[str]) -> list[tuple[str, ...]]:
    """A pronouncer that says K for every letter."""
    return [("K",) * len(word) for word in words]


def long_row() -> tuple[Example, int]:
    """20 s with a word each second and a term at 4 and at 15 s."""
    words = tuple(Word(f"w{'abcdefghijklmnopqrst'[i]}", i * 16_000, i * 16_000 + 8_000) for i in range(20))
    terms = (TermSpan("early", 64_000, 72_000), TermSpan("late", 240_000, 248_000))
    return Example("r", Path("a.wav"), 1_000, 0, "all that is said", terms, words), 320_000


def test_a_short_row_is_taken_whole() -> None:
    """Up to 5.76 s nothing is cut, and the text stays."""
    row = Example("r", Path("a.wav"), 5, 0, "hello", (TermSpan("hello", 0, 900),))
    cut = crop(row, 50_000, np.random.default_rng(0))
    assert (cut.start_sample, cut.samples, cut.text, cut.terms) == (5, 50_000, "hello", row.terms)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_row_is_cut_around_a_term(seed: int) -> None:
    """The stretch has a serving length, lies inside the row, and labels exactly the terms wholly in it."""
    row, samples = long_row()
    cut = crop(row, samples, np.random.default_rng(seed))
    first = cut.start_sample - row.start_sample
    assert CONTEXT_SAMPLES[0] <= cut.samples <= CONTEXT_SAMPLES[1]
    assert 0 <= first <= samples - cut.samples
    inside = [t.term for t in row.terms if first <= t.start_sample and t.end_sample <= first + cut.samples]
    assert [t.term for t in cut.terms] == inside
    assert inside
    whole = [w.text for w in row.words if first <= w.start_sample and w.end_sample <= first + cut.samples]
    assert cut.text == " ".join(whole)


def slow_covering(grid: list[tuple[int, int]], first: float, last: float) -> int:
    """The shortest of all spans that start and end outside, to a frame."""
    best = None
    for i, (start, end) in enumerate(grid):
        if start <= first + 1 and end >= last - 1 and (best is None or end - start < grid[best][1] - grid[best][0]):
            best = i
    assert best is not None
    return best


@pytest.mark.parametrize("seed", range(10))
def test_smallest_covering_span_equals_loops(seed: int) -> None:
    """It is the shortest span of the grid that covers the term."""
    rng = np.random.default_rng(seed)
    grid = SpanGrid().grid(200, 0).astype(np.int64)
    first = rng.uniform(60, 150)
    last = first + rng.uniform(5, 40)
    assert smallest_covering(grid, first, last) == slow_covering([tuple(g) for g in grid.tolist()], first, last)


def test_a_term_longer_than_every_span_gets_the_largest_overlap() -> None:
    """A term of 3 s takes a span of 2 s that lies wholly in it."""
    grid = SpanGrid().grid(200, 0).astype(np.int64)
    start, end = grid[smallest_covering(grid, 20, 170)]
    assert end - start == 100
    assert start >= 20
    assert end <= 170


def test_drawn_spans_cover_every_term_first() -> None:
    """Each occurrence has its covering span; spans are distinct, as many as asked for, some with half of a term."""
    terms = [TermSpan("a", 32_000, 48_000), TermSpan("b", 48_000, 56_000), TermSpan("a", 64_000, 80_000)]
    drawn = draw_spans(terms, 260, 40, np.random.default_rng(1))
    assert len({tuple(s) for s in drawn.spans.tolist()}) == len(drawn.spans) == 43
    for number, span in drawn.covering:
        start, end = drawn.spans[span]
        assert start <= terms[number].start_sample / 320 + 1
        assert end >= terms[number].end_sample / 320 - 1
    start, end = drawn.spans[drawn.covering[0][1]]
    shared = np.minimum(drawn.spans[:, 1], end) - np.maximum(drawn.spans[:, 0], start)
    assert ((shared > 0.3 * (end - start)) & (shared < 0.7 * (end - start))).sum() >= 3


def test_a_row_without_terms_has_spans() -> None:
    """No-term rows give spans too, none of them covering."""
    drawn = draw_spans([], 150, 12, np.random.default_rng(0))
    assert len(drawn.spans) == 12
    assert drawn.covering == ()


def test_words_cut_by_an_edge_are_no_targets() -> None:
    """Whole words are spelt with bounds; the stretch of a cut word and 60 ms beside it is lost."""
    words = [
        Word("cut", -3_200, 6_400),
        Word("to", 16_000, 24_000),
        Word("be", 30_000, 34_000),
        Word("gone", 44_000, 50_000),
    ]
    target = alignment_target(words, 48_000, spell)
    assert len(target.characters) == len("|to|be|")
    assert target.phonemes.tolist() == [1, *target.phonemes[1:3].tolist(), 1, *target.phonemes[1:3].tolist(), 1]
    assert (target.left, target.right) == (23, 16)


def test_unknown_times_teach_nothing() -> None:
    """Without timed words the targets are empty."""
    target = alignment_target([], 48_000, spell)
    assert len(target.characters) == len(target.phonemes) == 0


def test_letters_that_cannot_fit_teach_nothing() -> None:
    """More letters than four fifths of the frames are a wrong transcript."""
    target = alignment_target([Word("incomprehensibilities", 0, 4_800)], 4_800, spell)
    assert len(target.characters) == 0
