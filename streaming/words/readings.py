"""The best reading of a context with a term in its midst, the best one without it, and how the words around fit it."""

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BLANK
from streaming.words.bigrams import Bigrams, affinity
from streaming.words.word_ends import NEVER, NO_WORD, Ends, Ints, Sums

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
# Boundaries less than 60 ms apart are the same one.
_SAME = 3
# Nats beyond which the words on one side of a term say no more.
_MOST_AROUND = 8.0
# A rival's boundary this far from the term says nothing about the term.
REACH = 40


@compiled
def best_reading(
    log_probs: Floats, sequence: Ids, before: Ends, after: Ends, near: tuple[int, int], first_end: int
) -> tuple[float, int, int]:
    """The best reading with a sequence (bounds included) in its midst: score, first frame, last frame.

    The sequence lies within the frames `near` (first, last) and ends at or after `first_end`; `after` reaches back to
    the first of them.
    """
    frames, states = len(log_probs), 2 * len(sequence) - 1
    score, start = np.full(states, NEVER, np.float64), np.zeros(states, np.int64)
    best, best_start, best_end = NEVER, 0, 0
    for frame in range(near[0], min(near[1] + 1, frames)):
        for state in range(states - 1, -1, -1):
            value, since = score[state], start[state]
            if state > 0 and score[state - 1] > value:
                value, since = score[state - 1], start[state - 1]
            may_skip = state > 1 and state % 2 == 0 and sequence[state // 2] != sequence[state // 2 - 1]
            if may_skip and score[state - 2] > value:
                value, since = score[state - 2], start[state - 2]
            if state == 0 and before.score[frame, 0] > value:
                value, since = before.score[frame, 0], frame
            symbol = sequence[state // 2] if state % 2 == 0 else BLANK
            score[state] = value + log_probs[frame, symbol] if value > NEVER else NEVER
            start[state] = since
        if frame >= first_end and score[states - 1] > NEVER:
            whole = score[states - 1] + after.score[frames - 1 - frame, 0]
            if whole > best:
                best, best_start, best_end = whole, start[states - 1], frame
    return float(best), best_start, best_end


@compiled
def _without(
    frame: int,
    first: int,
    last: int,
    words: NDArray[np.int32],
    word_before: int,
    since: int,
    word_after: int,
    until: int,
) -> bool:
    """Whether a reading with a bound that ends in `frame` cannot hold `words` on the frames first to last.

    The word before that bound began at `since`, the one after it ends at `until`.
    """
    if first + _SAME < frame < last - _SAME:
        for i in range(len(words) - 1):  # noqa: SIM110 (generators are not compiled)
            if word_before == words[i] and word_after == words[i + 1]:
                return False
        return True
    if frame >= last - _SAME:
        reaches_over = since < last - _SAME and word_before != NO_WORD
        return bool(word_before != words[-1] and (frame <= last + _SAME or reaches_over))
    return bool(word_after != NO_WORD and word_after != words[0] and until > first + _SAME)


@compiled
def best_rival(
    bounds: Ends, after: Ends, bigrams: Bigrams, scale: float, span: tuple[int, int], words: NDArray[np.int32]
) -> float:
    """The best reading of the context that does not say `words` on the frames `span` (first, last).

    Only bounds up to `REACH` frames from the span count, and as far back as `after` reaches.
    """
    frames, keep = bounds.score.shape
    first, last = span
    best = NEVER
    for frame in range(max(0, first - REACH, frames - len(after.score)), min(frames, last + REACH + 1)):
        row = frames - 1 - frame
        for i in range(keep):
            for j in range(keep):
                left, right = bounds.score[frame, i], after.score[row, j]
                if left <= NEVER or right <= NEVER or left + right <= best - 50.0:
                    continue
                word_before, word_after = bounds.word[frame, i], after.word[row, j]
                until = frames - 1 - after.start[row, j]
                if _without(frame, first, last, words, word_before, bounds.start[frame, i], word_after, until):
                    whole = left + right + scale * affinity(bigrams, word_before, word_after)
                    best = max(best, whole)
    return float(best)


@compiled
def _beside(score: Sums, word: Ints, bigrams: Bigrams, scale: float, own: int, own_is_first: bool) -> float:
    """By how much a word of a term makes the best reading on one side of it likelier; `score`, `word` of one frame."""
    best = -_MOST_AROUND
    for i in range(len(score)):
        if score[i] > NEVER:
            first, second = (own, word[i]) if own_is_first else (word[i], own)
            best = max(best, score[i] - score[0] + scale * affinity(bigrams, first, second))
    return min(best, _MOST_AROUND)


@compiled
def fit_around(
    before: Ends, after: Ends, bigrams: Bigrams, scale: float, span: tuple[int, int], words: NDArray[np.int32]
) -> float:
    """How well the words before and after the frames `span` (first, last) fit those of a term there, nats.

    0 where its words are as likely there as anywhere, or the lexicon lacks them.
    """
    first, last = span
    # `before` has a row more than there are frames.
    row = len(before.score) - 2 - last
    return _beside(before.score[first], before.word[first], bigrams, scale, words[0], False) + _beside(
        after.score[row], after.word[row], bigrams, scale, words[-1], True
    )
