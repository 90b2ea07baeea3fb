"""One row -> what the batch takes of it: a stretch of audio of a serving length, its spans, its alignment targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming.spans import FRAME_SAMPLES, SpanGrid
from streaming.symbols import character_sequence, phoneme_sequence, words_of
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import Word

CONTEXT_SAMPLES = (46_080, 92_160)
"""Shortest and longest stretch cut from a longer row: 2.88 to 5.76 s."""
_CUT_MARGIN = 960  # 60 ms around a cut word are no evidence of what stands beside it
_SLACK_FRAMES = 1  # times of words are good to a frame

Pronounce = Callable[[Sequence[str]], list[tuple[str, ...]]]


def crop(example: Example, samples: int, rng: np.random.Generator) -> Example:
    """A stretch of at most 5.76 s of a row whose audio is `samples` long; a shorter row is taken whole.

    A random stretch around a random term; every term that is wholly inside stays labelled. What is said in a part
    of a row is known only through its timed words.
    """
    longest = CONTEXT_SAMPLES[1]
    if samples <= longest:
        return replace(example, samples=samples)
    wanted = int(rng.integers(CONTEXT_SAMPLES[0], longest + 1))
    first = int(rng.integers(0, samples - wanted + 1))
    if example.terms:
        term = example.terms[int(rng.integers(len(example.terms)))]
        wanted = min(samples, max(wanted, term.end_sample - term.start_sample))
        lowest = max(0, term.end_sample - wanted)
        highest = max(lowest, min(term.start_sample, samples - wanted))
        first = int(rng.integers(lowest, highest + 1))
    last = first + wanted
    terms = tuple(
        TermSpan(t.term, t.start_sample - first, t.end_sample - first)
        for t in example.terms
        if first <= t.start_sample and t.end_sample <= last
    )
    words = tuple(
        Word(w.text, w.start_sample - first, w.end_sample - first)
        for w in example.words
        if w.end_sample > first and w.start_sample < last
    )
    text = " ".join(w.text for w in words if w.start_sample >= 0 and w.end_sample <= wanted)
    return replace(
        example, start_sample=example.start_sample + first, samples=wanted, text=text, terms=terms, words=words
    )


@dataclass(frozen=True, slots=True)
class RowSpans:
    """Spans int64[s, 2] in frames, and (term number, span number) of every labelled occurrence."""

    spans: NDArray[np.int64]
    covering: tuple[tuple[int, int], ...]


def smallest_covering(grid: NDArray[np.int64], first: float, last: float) -> int:
    """Row of the shortest span that covers [first, last] in frames to a frame; of the largest overlap where none."""
    covers = (grid[:, 0] <= first + _SLACK_FRAMES) & (grid[:, 1] >= last - _SLACK_FRAMES)
    lengths = grid[:, 1] - grid[:, 0]
    if covers.any():
        return int(np.where(covers, lengths, np.iinfo(np.int64).max).argmin())
    overlap = np.minimum(grid[:, 1], last) - np.maximum(grid[:, 0], first)
    return int(np.lexsort((lengths, -overlap))[0])


def draw_spans(terms: Sequence[TermSpan], frames: int, wanted: int, rng: np.random.Generator) -> RowSpans:
    """The covering span of each term, then spans that share about half of a term, then any of the grid.

    Args:
        terms: occurrences in samples of the row.
        frames: length of the row.
        wanted: number of spans beside the covering ones.
        rng: draws them.
    """
    grid = SpanGrid().grid(frames, 0).astype(np.int64)
    # A term may be longer or shorter than any span of the grid; the whole row is always a span.
    grid = np.concatenate([grid, [[0, frames]]])
    covering = [smallest_covering(grid, t.start_sample / FRAME_SAMPLES, t.end_sample / FRAME_SAMPLES) for t in terms]
    hard: list[int] = []
    for row in set(covering):
        first, last = grid[row]
        shared = np.minimum(grid[:, 1], last) - np.maximum(grid[:, 0], first)
        longer = np.maximum(grid[:, 1] - grid[:, 0], last - first)
        near = np.flatnonzero((shared > 0.3 * longer) & (shared < 0.7 * longer))
        hard += rng.permutation(near)[: max(1, wanted // (4 * len(set(covering))))].tolist()
    others = rng.permutation(len(grid))[:wanted].tolist()
    chosen = list(dict.fromkeys([*covering, *hard, *others]))[: len(set(covering)) + wanted]
    place = {row: i for i, row in enumerate(chosen)}
    return RowSpans(grid[chosen], tuple((i, place[row]) for i, row in enumerate(covering)))


@dataclass(frozen=True, slots=True)
class AlignmentTarget:
    """int64 symbol ids of both heads (empty: teaches nothing) and the frames lost to cut words at each end."""

    characters: NDArray[np.int64]
    phonemes: NDArray[np.int64]
    left: int = 0
    right: int = 0


NOTHING = AlignmentTarget(np.zeros(0, np.int64), np.zeros(0, np.int64))


def alignment_target(words: Sequence[Word], samples: int, pronounce: Pronounce) -> AlignmentTarget:
    """Targets of the words that are wholly inside; nothing where times are unknown or letters would not fit."""
    inside, left, right = [], 0, 0
    for word in words:
        if word.start_sample < 0:
            left = max(left, word.end_sample + _CUT_MARGIN)
        elif word.end_sample > samples:
            right = max(right, samples - word.start_sample + _CUT_MARGIN)
        else:
            inside += words_of(word.text)
    if not inside:
        return NOTHING
    frames = samples // FRAME_SAMPLES
    lost = min(frames, -(-left // FRAME_SAMPLES)), min(frames, -(-right // FRAME_SAMPLES))
    characters = character_sequence(inside).astype(np.int64)
    if len(characters) > 0.8 * (frames - sum(lost)):
        return NOTHING
    phonemes = phoneme_sequence(pronounce(inside)).astype(np.int64)
    return AlignmentTarget(characters, phonemes, *lost)
