"""One head's alignment carried through a stream: each frame moves the paths of all sequences once."""

import numpy as np
from numpy.typing import NDArray

from streaming.spotting.alignment import AlignmentBank, EndScores

Floats = NDArray[np.float32]
WINDOW = 16
"""Frames whose ends are remembered together; what is asked for is rounded down to them."""


class CarriedAlignment:
    """The paths of one bank through one stream; frames are those of the stream."""

    def __init__(self, bank: AlignmentBank, least: float) -> None:
        """Begin a stream; scores below `least` a symbol are minus infinity."""
        self._bank = bank
        self._limits = bank.limits(np.full(len(bank.lengths), least, np.float32))
        self.begin(0)

    def begin(self, frame: int) -> None:
        """Forget what was heard; the next frame is this one."""
        self._tokens, self._frame = self._bank.begin(), frame
        self._windows: dict[int, EndScores] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the tokens and of the ends remembered."""
        ends = sum(one.score.nbytes + one.end.nbytes for one in self._windows.values())
        return self._tokens.state.nbytes + self._limits.nbytes + ends

    def carry(self, log_probs: Floats, reach: int) -> None:
        """Move on over float32[t, v]; ends more than `reach` frames back are forgotten."""
        done = 0
        while done < len(log_probs):
            window = self._frame // WINDOW
            rows = log_probs[done : done + (window + 1) * WINDOW - self._frame]
            found = self._bank.move(self._tokens, rows, 0, self._limits)
            found = EndScores(found.score, (found.end + self._frame % WINDOW).astype(np.uint8))
            there = self._windows.get(window)
            self._windows[window] = found if there is None else _better(there, found)
            self._frame += len(rows)
            done += len(rows)
        oldest = (self._frame - reach) // WINDOW
        self._windows = {window: ends for window, ends in self._windows.items() if window >= oldest}

    def score(self, log_probs: Floats, first_end: int) -> EndScores:
        """The best paths that end from `first_end` on, heard on over float32[t, v] that are not remembered."""
        first_end = first_end // WINDOW * WINDOW
        rest = self._bank.move(self._tokens.copy(), log_probs, max(0, first_end - self._frame), self._limits)
        best = EndScores(rest.score, rest.end + self._frame)
        for window in sorted(self._windows, reverse=True):
            if window * WINDOW >= first_end:
                ends = self._windows[window]
                best = _better(EndScores(ends.score, ends.end + np.int64(window * WINDOW)), best)
        return best


def _better(earlier: EndScores, later: EndScores) -> EndScores:
    """The better path of each sequence; of equal ones the earlier, as in one pass over all frames."""
    is_later = later.score > earlier.score
    return EndScores(np.where(is_later, later.score, earlier.score), np.where(is_later, later.end, earlier.end))
