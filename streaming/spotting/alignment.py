"""How well does a term fit the frames? Best CTC path of its symbols with free start and end.

Graves et al. (2006) for the topology; the search for a phrase with free ends in CTC log-probabilities follows the
idea of CTC word spotting (arXiv 2406.07096). Scores are mean log-probabilities per symbol, so 0 is perfect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.spotting.lanes import LaneTokens, best_ends, lay_out, no_tokens
from streaming.symbols import BLANK

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class EndScores:
    """Best path of each sequence ending in the frames asked for: `score` float32[n] a symbol, `end` int64[n] frame."""

    score: Floats
    end: NDArray[np.int64]


class AlignmentBank:
    """All sequences of one head side by side, scored together."""

    def __init__(self, sequences: Sequence[Ids], vocabulary: int) -> None:
        """Lay out the sequences.

        Args:
            sequences: int16[length] each, symbols below `vocabulary`.
            vocabulary: symbols of the head.

        Raises:
            ValueError: a sequence is empty or holds another symbol.
        """
        self.lengths = np.array([len(s) for s in sequences], np.int64)
        if len(sequences) and self.lengths.min() < 1:
            raise ValueError("a sequence without symbols cannot be aligned")
        # Compiled code reads without looking where the row ends.
        if len(sequences):
            symbols = np.concatenate(sequences)
            if symbols.min() < 0 or symbols.max() >= vocabulary:
                raise ValueError(f"a sequence holds a symbol outside 0..{vocabulary - 1}")
        self._vocabulary = vocabulary
        self._lanes = lay_out(sequences, vocabulary)

    def score(self, log_probs: Floats, first_end: int, least: Floats | None = None) -> EndScores:
        """Score every sequence by itself in some frames; only paths ending at or after `first_end` count.

        Args:
            log_probs: float32[t, vocabulary].
            first_end: a frame.
            least: float32[n] a symbol; a sequence whose best path scores lower is soon done with, and its score is
                minus infinity. Without, all are scored to the end.

        Raises:
            ValueError: another shape.
        """
        return self.move(self.begin(), log_probs, first_end, self.limits(least))

    def begin(self) -> LaneTokens:
        """The tokens of a stream before its first frame."""
        return no_tokens(self._lanes)

    def limits(self, least: Floats | None = None) -> Floats:
        """What `move` needs to be soon done with a sequence whose best path scores below float32[n] a symbol."""
        limits = np.full(self._lanes.last.shape, np.inf, np.float32)
        limits.ravel()[self._lanes.slot] = -np.inf if least is None else least * self.lengths
        return limits

    def move(self, tokens: LaneTokens, log_probs: Floats, first_end: int, limits: Floats) -> EndScores:
        """Move the tokens of a stream over its next frames, float32[t, vocabulary]; the best paths that end in them.

        Ends are counted from the first of these frames; only those from `first_end` on count. A score below the limit,
        which must be the same for all frames of a stretch, is minus infinity. Raises ValueError for another shape.
        """
        if log_probs.ndim != 2 or log_probs.shape[1] != self._vocabulary:
            raise ValueError(f"log-probabilities of shape {list(log_probs.shape)} for {self._vocabulary} symbols")
        beyond = np.full((len(log_probs), 1), -np.inf, np.float32)
        heard = np.concatenate([log_probs, beyond], axis=1, dtype=np.float32)
        best, end = best_ends(heard, self._lanes, limits, tokens, first_end)
        slot = self._lanes.slot
        score = best.ravel()[slot]
        score = np.where(score >= limits.ravel()[slot], score / self.lengths.astype(np.float32), np.float32(-np.inf))
        return EndScores(score, end.ravel()[slot])


@dataclass(frozen=True, slots=True)
class Span:
    """Where one path lies: frames [start, end], its score per symbol, and that of the best free path over them."""

    start: int
    end: int
    score: float
    free: float


def locate(log_probs: Floats, sequence: Ids, end: int, longest: int = 150) -> Span:
    """The best path of `sequence` that ends at frame `end`: its first frame and its scores.

    `longest` bounds the frames looked at.
    """
    start, score = start_of_path(np.ascontiguousarray(log_probs, np.float32), sequence, end, longest)
    free = float(log_probs[start : end + 1].max(axis=1).sum())
    return Span(start, end, score / len(sequence), free / len(sequence))


@compiled
def start_of_path(log_probs: Floats, sequence: Ids, end: int, longest: int) -> tuple[int, float]:
    """First frame of the best path that ends at `end`, the latest of several, and its score.

    Walks backwards from the end: the frame in which the first symbol is reached with the best score is the start.
    """
    n = len(sequence)
    label, gap = np.full(n, -np.inf, np.float32), np.full(n, -np.inf, np.float32)
    label[n - 1] = log_probs[end, sequence[n - 1]]
    start, best = end, label[0]
    for frame in range(end - 1, max(0, end + 1 - longest) - 1, -1):
        row = log_probs[frame]
        # From the first label up, so that those after it still hold what they held a frame later.
        for at in range(n):
            held = label[at]
            entered = np.float32(-np.inf)
            if at + 1 < n:
                entered = gap[at + 1]
                if sequence[at] != sequence[at + 1]:
                    entered = max(entered, label[at + 1])
            label[at] = max(held, entered) + row[sequence[at]]
            gap[at] = max(gap[at], held) + row[BLANK]
        if label[0] > best:
            start, best = frame, label[0]
    return start, best
