import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import SettingError
from training.corpus.chunks import ChunkConfig, around, gaps, no_term_chunks, spans_inside, text_inside
from training.corpus.examples import TermSpan
from training.corpus.manifest import Word

LENGTHS = st.lists(st.tuples(st.integers(0, 90_000), st.integers(400, 30_000)), max_size=8)
"""(silence, term) one after the other."""


def laid_out(pieces: list[tuple[int, int]], tail: int = 20_000) -> tuple[int, tuple[TermSpan, ...]]:
    """The length of a segment, and its terms."""
    spans, place = list[TermSpan](), 0
    for silence, size in pieces:
        spans.append(TermSpan(f"t{len(spans)}", place + silence, place + silence + size))
        place += silence + size
    return place + tail, tuple(spans)


def test_a_chunk_is_its_term_with_context() -> None:
    """One second before and after, as far as the segment goes."""
    config = ChunkConfig()
    assert around(TermSpan("t", 32_000, 40_000), 100_000, config) == (16_000, 56_000)
    assert around(TermSpan("t", 100, 40_000), 41_000, config) == (0, 41_000)
    assert around(TermSpan("t", 100, 400), 41_000, ChunkConfig(context_seconds=0)) == (100, 400)


@given(LENGTHS)
def test_gaps_and_terms_fill_the_segment(pieces: list[tuple[int, int]]) -> None:
    """A sample is in a gap or in a term, never in both and never in neither."""
    length, spans = laid_out(pieces)
    said = np.zeros(length, np.int64)
    for first, last in [*gaps(length, spans, 0), *((s.start_sample, s.end_sample) for s in spans)]:
        said[first:last] += 1
    assert (said == 1).all()
    assert all(last - first >= 40_000 for first, last in gaps(length, spans, 40_000))


@given(LENGTHS, st.integers(0, 5), st.integers(0, 1_000))
def test_no_term_is_in_a_no_term_chunk(pieces: list[tuple[int, int]], wanted: int, seed: int) -> None:
    """Chunks are of the gaps, hold a word, are no more than wanted, and do not overlap."""
    length, spans = laid_out(pieces)
    words = [Word("w", first, min(length, first + 4_000)) for first in range(0, length, 6_000)]
    chunks = no_term_chunks(length, words, spans, ChunkConfig(), wanted, np.random.default_rng(seed))
    assert len(chunks) <= wanted
    for first, last in chunks:
        assert 40_000 <= last - first <= 64_000
        assert all(s.end_sample <= first or last <= s.start_sample for s in spans)
        assert any(first <= w.start_sample and w.end_sample <= last for w in words)
        assert sum(other[0] < last and first < other[1] for other in chunks) == 1


def test_silence_is_no_no_term_chunk() -> None:
    """A gap in which nothing is said teaches nothing, and is left out."""
    assert no_term_chunks(100_000, [], [], ChunkConfig(), 1, np.random.default_rng(1)) == []


def test_terms_and_text_of_a_stretch() -> None:
    """Terms count where they are whole, words where half of them is inside."""
    spans = (TermSpan("a", 0, 100), TermSpan("b", 100, 300), TermSpan("c", 300, 500))
    assert spans_inside(spans, (50, 310)) == (TermSpan("b", 50, 250),)
    words = [Word("one", 0, 100), Word("two", 100, 300), Word("three", 300, 500)]
    assert text_inside(words, (40, 400)) == "one two"


@pytest.mark.parametrize(
    "setting",
    [{"context_seconds": -1}, {"context_seconds": float("nan")}, {"min_gap_seconds": 0}, {"no_term_ratio": -0.1}],
)
def test_settings_without_sense_are_refused(setting: dict[str, float]) -> None:
    """Each setting has its range, and the message says which option it is."""
    with pytest.raises(SettingError, match="give --"):
        ChunkConfig(**setting)
