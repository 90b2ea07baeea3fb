"""Tokens that have just ended a word, and those that stand in the bound after one: a few a frame, best first."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BOUND

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Ints = NDArray[np.int32]
NEVER = -1e30
NO_WORD = -1


class Ends(NamedTuple):
    """The best tokens of each frame, best first and of different words.

    `score` float64[t, k] is NEVER where there is none: sums over a stream of any length keep their fractions. `word`
    int32[t, k] is NO_WORD where the token began in the midst of a word, `start` int32[t, k] the frame in which the
    bound before the word began.
    """

    score: Sums
    word: Ints
    start: Ints

    def rows(self, first: int, stop: int | None) -> "Ends":
        """Some of the rows."""
        return Ends(self.score[first:stop], self.word[first:stop], self.start[first:stop])

    def joined(self, later: "Ends") -> "Ends":
        """These rows and later ones."""
        return Ends(
            np.concatenate([self.score, later.score]),
            np.concatenate([self.word, later.word]),
            np.concatenate([self.start, later.start]),
        )

    def counted_from(self, frame: int) -> "Ends":
        """The same with the frames of the starts counted from another frame."""
        return self._replace(start=self.start - np.int32(frame))


@compiled
def empty_ends(rows: int, keep: int) -> Ends:
    """Rows without a token."""
    return Ends(
        np.full((rows, keep), NEVER, np.float64),
        np.full((rows, keep), NO_WORD, np.int32),
        np.zeros((rows, keep), np.int32),
    )


@compiled
def put(ends: Ends, row: int, score: float, word: int, start: int) -> None:
    """Insert a token into a row, which keeps its order, and of each word only the best token."""
    scores, words, starts = ends.score[row], ends.word[row], ends.start[row]
    place = len(scores) - 1
    for i in range(len(scores)):
        if words[i] == word and scores[i] > NEVER:
            place = i
            break
    if scores[place] >= score:
        return
    while place > 0 and scores[place - 1] < score:
        scores[place], words[place], starts[place] = scores[place - 1], words[place - 1], starts[place - 1]
        place -= 1
    scores[place], words[place], starts[place] = score, word, start


@compiled
def in_bounds(log_probs: Floats, ends: Ends, before: Ends) -> Ends:
    """The tokens that stand in the bound after their word.

    Args:
        log_probs: float32[t, v] of one head.
        ends: t rows or more, those that ended a word before each of the frames.
        before: one row, those that stood in the bound before the first frame.

    Returns:
        One row after each frame.
    """
    frames, keep = len(log_probs), ends.score.shape[1]
    bounds = empty_ends(frames, keep)
    for frame in range(frames):
        for i in range(keep):
            if ends.score[frame, i] > NEVER:
                entered = ends.score[frame, i] + log_probs[frame, BOUND]
                put(bounds, frame, entered, ends.word[frame, i], ends.start[frame, i])
            earlier, row = (bounds, frame - 1) if frame > 0 else (before, 0)
            if earlier.score[row, i] > NEVER:
                stay = earlier.score[row, i] + log_probs[frame, BOUND]
                put(bounds, frame, stay, earlier.word[row, i], earlier.start[row, i])
    return bounds
