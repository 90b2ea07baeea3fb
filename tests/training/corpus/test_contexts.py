from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import SettingError
from training.corpus.contexts import ContextConfig, allowed_starts, contexts, cut, no_term_contexts
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import Word

SMALL = ContextConfig(20, 40)
PIECES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25)), min_size=1, max_size=8)


def laid_out(pieces: list[tuple[int, int]], tail: int) -> tuple[int, tuple[TermSpan, ...]]:
    """The length of a segment of (silence, term) one after the other, and its terms."""
    spans, place = list[TermSpan](), 0
    for silence, size in pieces:
        spans.append(TermSpan(f"t{len(spans)}", place + silence, place + silence + size))
        place += silence + size
    return place + tail, tuple(spans)


def cuts(stretch: tuple[int, int], span: TermSpan) -> bool:
    """Whether an edge of the stretch is within the term."""
    return any(span.start_sample < edge < span.end_sample for edge in stretch)


@given(PIECES, st.integers(0, 30), st.integers(1, 60))
def test_allowed_starts_are_those_that_brute_force_finds(pieces: list[tuple[int, int]], tail: int, size: int) -> None:
    """Every start at which the context holds the term and cuts none, and no other."""
    length, spans = laid_out(pieces, tail)
    for span in spans:
        expected = {
            start
            for start in range(length - size + 1)
            if start <= span.start_sample
            and span.end_sample <= start + size
            and not any(cuts((start, start + size), other) for other in spans)
        }
        ranges = allowed_starts(length, size, span, spans).tolist()
        assert {start for first, last in ranges for start in range(first, last)} == expected


@given(PIECES, st.integers(0, 30), st.integers(0, 100))
def test_every_term_is_in_a_context_that_cuts_none(pieces: list[tuple[int, int]], tail: int, seed: int) -> None:
    """Contexts are of the lengths asked for, cut no term, and hold every term but those that are counted as lost."""
    length, spans = laid_out(pieces, tail)
    found, lost = contexts(length, spans, SMALL, np.random.default_rng(seed))
    held = [s for s in spans if any(a <= s.start_sample and s.end_sample <= b for a, b in found)]
    assert len(held) + lost == len(spans)
    for first, last in found:
        assert 0 <= first < last <= length
        assert SMALL.shortest <= last - first <= SMALL.longest or (first, last) == (0, length)
        assert not any(cuts((first, last), span) for span in spans)
    free = no_term_contexts(length, spans, SMALL, 2, np.random.default_rng(seed))
    assert len(free) <= 2
    for first, last in free:
        assert SMALL.shortest <= last - first <= SMALL.longest
        assert all(s.end_sample <= first or last <= s.start_sample for s in spans)


def test_places_vary() -> None:
    """A term is anywhere in its context: near its start, near its end, and in between."""
    span = TermSpan("t", 500, 510)
    starts = {contexts(1_000, [span], SMALL, np.random.default_rng(seed))[0][0][0] for seed in range(200)}
    assert min(starts) < 480 < max(starts)
    assert len(starts) > 20


def test_a_context_labels_every_term_and_keeps_cut_words() -> None:
    """All terms inside come with their spans; words that an edge cuts stay, with times beyond the edge."""
    words = (Word("twenty-one", 0, 160), Word("kalman", 160, 320), Word("filter", 320, 480), Word("is", 480, 520))
    spans = (TermSpan("Kalman filter", 160, 480), TermSpan("filter", 320, 480))
    segment = Example("s", Path("a.opus"), 1_000, 600, "", spans, words, "rec", "who")
    assert cut(segment, (100, 500), "s_context_0") == Example(
        "s_context_0",
        Path("a.opus"),
        1_100,
        400,
        "kalman filter",
        (TermSpan("Kalman filter", 60, 380), TermSpan("filter", 220, 380)),
        (
            Word("twenty", -100, 7),
            Word("one", 7, 60),
            Word("kalman", 60, 220),
            Word("filter", 220, 380),
            Word("is", 380, 420),
        ),
        "rec",
        "who",
    )


def test_lengths_without_sense_are_refused() -> None:
    """The shorter length comes first."""
    with pytest.raises(SettingError, match="the first is the shorter one"):
        ContextConfig(40, 20)
