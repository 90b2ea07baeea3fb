"""How well does a term fit the frames? Best CTC path of its symbols with free start and end.

Graves et al. (2006) for the topology; the search for a phrase with free ends in CTC log-probabilities follows the
idea of CTC word spotting (arXiv 2406.07096). Scores are mean log-probabilities per symbol, so 0 is perfect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import BLANK

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class EndScores:
    """Best path of each sequence ending in the frames asked for: `score` float32[n] a symbol, `end` int64[n] frame."""

    score: Floats
    end: NDArray[np.int64]


class AlignmentBank:
    """All sequences of one head as one flat row of CTC states, scored together.

    A sequence of L symbols takes 2·L states: an anchor, then its symbols with optional blanks between them. The
    anchor is the free start: its value is always 0, which no log-probability exceeds, so it needs no upkeep.
    """

    def __init__(self, sequences: Sequence[Ids], vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self.lengths = np.array([len(s) for s in sequences], np.int64)
        if len(sequences) and self.lengths.min() < 1:
            raise ValueError("a sequence without symbols cannot be aligned")
        starts = np.concatenate([[0], np.cumsum(2 * self.lengths)])
        states = np.full(int(starts[-1]), BLANK, np.int64)
        skip = np.full(int(starts[-1]), _NEVER, np.float32)
        for sequence, first in zip(sequences, starts, strict=False):
            last = first + 2 * len(sequence)
            states[first] = vocabulary  # the anchor's own column, always 0
            states[first + 1 : last : 2] = sequence
            skip[first + 3 : last : 2] = np.where(sequence[1:] != sequence[:-1], 0.0, _NEVER)
        self._states, self._skip, self._ends = states, skip, starts[1:] - 1

    def score(self, log_probs: Floats, first_end: int) -> EndScores:
        """Score every sequence on float32[t, v] log-probabilities; only paths ending at or after `first_end` count."""
        frames, n = len(log_probs), len(self.lengths)
        if not n:
            return EndScores(np.zeros(0, np.float32), np.zeros(0, np.int64))
        emissions = np.concatenate([log_probs, np.zeros((frames, 1), np.float32)], axis=1).take(self._states, axis=1)
        old = np.full(len(self._states), _NEVER, np.float32)
        old[self._states == self._vocabulary] = 0.0
        new, skipped = old.copy(), np.full_like(old, _NEVER)
        at_end = np.empty((frames - first_end, n), np.float32)
        for frame in range(frames):
            np.add(old[:-2], self._skip[2:], out=skipped[2:])
            np.maximum(old[1:], old[:-1], out=new[1:])
            np.maximum(new, skipped, out=new)
            new += emissions[frame]
            if frame >= first_end:
                new.take(self._ends, out=at_end[frame - first_end])
            old, new = new, old
        best = at_end.argmax(axis=0)
        score = at_end[best, np.arange(n)] / self.lengths
        return EndScores(score.astype(np.float32), best + first_end)


@dataclass(frozen=True, slots=True)
class Span:
    """Where one path lies: frames [start, end], its score per symbol, and that of the best free path over them."""

    start: int
    end: int
    score: float
    free: float


def locate(log_probs: Floats, sequence: Ids, end: int, longest: int = 150) -> Span:
    """The best path of `sequence` that ends at frame `end`: its first frame and its scores.

    Walks the path's states backwards from the end, so the first frame where the anchor is reached with the best
    score is the start. `longest` bounds the frames looked at.
    """
    first = max(0, end + 1 - longest)
    piece = log_probs[first : end + 1][::-1]
    symbols = sequence[::-1]
    states = np.full(2 * len(symbols) - 1, BLANK, np.int64)
    states[::2] = symbols
    skip = np.full(len(states), _NEVER, np.float32)
    skip[2::2] = np.where(symbols[1:] != symbols[:-1], 0.0, _NEVER)
    emissions = piece.take(states, axis=1)
    at_start = np.full(len(piece), _NEVER, np.float32)
    old = np.full(len(states), _NEVER, np.float32)
    old[0] = emissions[0, 0]
    at_start[0] = old[-1]
    for frame in range(1, len(piece)):
        new = old.copy()
        np.maximum(new[1:], old[:-1], out=new[1:])
        np.maximum(new[2:], old[:-2] + skip[2:], out=new[2:])
        old = new + emissions[frame]
        at_start[frame] = old[-1]
    back = int(at_start.argmax())
    start = end - back
    free = float(log_probs[start : end + 1].max(axis=1).sum())
    return Span(start, end, float(at_start[back]) / len(symbols), free / len(symbols))
