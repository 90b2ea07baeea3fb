"""Words in time and the terms among them -> stretches to cut: one around each term, and some in which none is said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from training.corpus.examples import TermSpan
from training.corpus.manifest import Word
from training.corpus.matching import Match

Stretch = tuple[int, int]
"""First sample and last + 1."""
_NO_TERM_S = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """Seconds kept on both sides of a term, least gap between terms, and no-term chunks per term-level chunk."""

    context_seconds: float = 1.0
    min_gap_seconds: float = 2.5
    no_term_ratio: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.context_seconds <= 10:
            raise SettingError(f"{self.context_seconds} s of context; give --context-seconds 0 to 10")
        if not 0.5 <= self.min_gap_seconds <= 30:
            raise SettingError(f"a gap of {self.min_gap_seconds} s; give --min-gap-seconds 0.5 to 30")
        if not 0 <= self.no_term_ratio <= 10:
            raise SettingError(f"{self.no_term_ratio} no-term chunks per chunk; give --no-term-ratio 0 to 10")


def spans_of(words: Sequence[Word], matches: Iterable[Match]) -> tuple[TermSpan, ...]:
    """Where the matched terms are said, in order."""
    return tuple(TermSpan(m.term, words[m.first].start_sample, words[m.last - 1].end_sample) for m in matches)


def around(span: TermSpan, length: int, config: ChunkConfig) -> Stretch:
    """The stretch of a term with its context, within a segment of `length` samples."""
    context = round(config.context_seconds * SAMPLE_RATE)
    return max(0, span.start_sample - context), min(length, span.end_sample + context)


def gaps(length: int, spans: Iterable[TermSpan], least: int) -> list[Stretch]:
    """Stretches of at least `least` samples in which no term is said; together with the terms they fill the segment."""
    found, last = [], 0
    for span in sorted(spans, key=lambda s: s.start_sample):
        found.append((last, span.start_sample))
        last = max(last, span.end_sample)
    found.append((last, length))
    return [(first, end) for first, end in found if end - first >= least]


def no_term_chunks(
    length: int,
    words: Sequence[Word],
    spans: Iterable[TermSpan],
    config: ChunkConfig,
    wanted: int,
    rng: np.random.Generator,
) -> list[Stretch]:
    """At most one stretch per gap, at most `wanted`, each around a word: silence would teach little of rejection.

    Args:
        length: of the segment in samples.
        words: of the segment.
        spans: of its terms.
        config: gives the least gap and, by twice the context, the least length.
        wanted: how many.
        rng: draws gaps, lengths and places.
    """
    found = gaps(length, spans, round(config.min_gap_seconds * SAMPLE_RATE))
    chunks: list[Stretch] = []
    for first, last in (found[i] for i in rng.permutation(len(found))):
        said = [w for w in words if first <= w.start_sample and w.end_sample <= last]
        if len(chunks) == wanted:
            break
        if not said:
            continue
        wanted_s = 2 * config.context_seconds + rng.uniform(*_NO_TERM_S)
        word = said[int(rng.integers(len(said)))]
        size = min(last - first, max(round(wanted_s * SAMPLE_RATE), word.end_sample - word.start_sample))
        start = int(rng.integers(max(first, word.end_sample - size), min(word.start_sample, last - size) + 1))
        chunks.append((start, start + size))
    return chunks


def spans_inside(spans: Iterable[TermSpan], stretch: Stretch) -> tuple[TermSpan, ...]:
    """Terms that are wholly in a stretch, in samples from its start."""
    first, last = stretch
    return tuple(
        TermSpan(s.term, s.start_sample - first, s.end_sample - first)
        for s in spans
        if first <= s.start_sample and s.end_sample <= last
    )


def words_heard(words: Iterable[Word], stretch: Stretch) -> tuple[Word, ...]:
    """Words of which something is heard in a stretch, in samples from its start: below 0 or past its end where cut."""
    first, last = stretch
    return tuple(
        Word(w.text, w.start_sample - first, w.end_sample - first)
        for w in words
        if w.start_sample < last and w.end_sample > first
    )


def text_inside(words: Iterable[Word], stretch: Stretch) -> str:
    """The words that are at least half in a stretch."""
    first, last = stretch
    return " ".join(w.text for w in words if first <= (w.start_sample + w.end_sample) / 2 < last)
