"""Contexts as a stream has them: stretches of 2.88 to 5.76 s in which every term that can be heard is labelled.

No edge of a context cuts a term: half a term can be heard, but is no example of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from training.corpus.chunks import Stretch, gaps, spans_inside, words_heard
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import spoken_words

_DRAWS = 8


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """Shortest and longest context in samples: 2.88 to 5.76 s."""

    shortest: int = 46_080
    longest: int = 92_160

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise SettingError(f"contexts of {self.shortest} to {self.longest} samples; the first is the shorter one")


def contexts(
    length: int, spans: Sequence[TermSpan], config: ContextConfig, rng: np.random.Generator
) -> tuple[list[Stretch], int]:
    """Stretches so that each term is in at least one, at a random place in it.

    Args:
        length: of the segment in samples; a segment shorter than a context is one as a whole.
        spans: of its terms, in order.
        config: lengths.
        rng: draws them.

    Returns:
        The stretches, and the number of terms that are in none of them: no place of a context around such a term
        leaves all its neighbours whole.
    """
    found: list[Stretch] = []
    for span in spans:
        if not _is_held(span, found):
            stretch = _place(length, span, spans, config, rng)
            found += [] if stretch is None else [stretch]
    # Counted at the end: what has no place of its own may be in the context of a later term.
    return found, sum(not _is_held(span, found) for span in spans)


def _is_held(span: TermSpan, stretches: Iterable[Stretch]) -> bool:
    return any(first <= span.start_sample and span.end_sample <= last for first, last in stretches)


def _place(
    length: int, span: TermSpan, spans: Sequence[TermSpan], config: ContextConfig, rng: np.random.Generator
) -> Stretch | None:
    if length <= config.shortest:
        return (0, length)
    longest = min(length, config.longest)
    sizes = [*rng.integers(config.shortest, longest + 1, _DRAWS).tolist(), longest, config.shortest]
    for size in sizes:
        starts = allowed_starts(length, size, span, spans)
        if len(starts):
            first, last = starts[_draw(starts[:, 1] - starts[:, 0], rng)]
            start = int(rng.integers(first, last))
            return (start, start + size)
    return None


def _draw(weights: NDArray[np.int64], rng: np.random.Generator) -> int:
    """A place by its weight."""
    return int(np.searchsorted(np.cumsum(weights), rng.integers(weights.sum()), side="right"))


def allowed_starts(length: int, size: int, span: TermSpan, spans: Iterable[TermSpan]) -> NDArray[np.int64]:
    """int64[n, 2]: ranges [first, last) of starts at which `size` samples hold `span` and cut no term."""
    lowest, highest = max(0, span.end_sample - size), min(span.start_sample, length - size) + 1
    cuts = [
        (edge + 1, edge + other.end_sample - other.start_sample)
        for other in spans
        for edge in (other.start_sample, other.start_sample - size)
    ]
    ranges, first = [], lowest
    for start, end in sorted(cuts):
        if start > first:
            ranges.append((first, min(start, highest)))
        first = max(first, end)
    ranges.append((first, highest))
    return np.array([r for r in ranges if r[1] > r[0]], np.int64).reshape(-1, 2)


def no_term_contexts(
    length: int, spans: Sequence[TermSpan], config: ContextConfig, wanted: int, rng: np.random.Generator
) -> list[Stretch]:
    """At most `wanted` stretches in which no term is said, at most one per gap."""
    found = gaps(length, spans, config.shortest)
    stretches = []
    for first, last in (found[i] for i in rng.permutation(len(found))[:wanted]):
        size = int(rng.integers(config.shortest, min(last - first, config.longest) + 1))
        start = int(rng.integers(first, last - size + 1))
        stretches.append((start, start + size))
    return stretches


def cut(segment: Example, stretch: Stretch, example_id: str) -> Example:
    """A stretch of an example: the terms wholly in it, and every word of which something can be heard."""
    first, last = stretch
    heard = words_heard(segment.words, stretch)
    return replace(
        segment,
        example_id=example_id,
        start_sample=segment.start_sample + first,
        samples=last - first,
        text=" ".join(w.text for w in heard if w.start_sample >= 0 and w.end_sample <= last - first),
        terms=spans_inside(segment.terms, stretch),
        words=tuple(
            letters
            for w in heard
            for letters in spoken_words(w.text, w.start_sample / SAMPLE_RATE, w.end_sample / SAMPLE_RATE)
        ),
    )
