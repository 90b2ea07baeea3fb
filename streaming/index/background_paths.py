"""The best path of many sequences through many contexts at once: alignment for statistics, not for a stream.

The same recursion as `alignment.best_ends`, and the same numbers to the last bit, several times as fast: the contexts
lie side by side, so that one instruction serves a block of them, and sequences in alphabetic order take over the rows
of the symbols that they share with the one before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BLANK

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]

_BLOCK = 32
"""Contexts that are worked on together: some wide registers, and tables that the near caches hold."""


class ContextBlocks:
    """Log-probabilities of contexts of equal length, turned so that a symbol's numbers of one frame lie together."""

    def __init__(self, log_probs: Floats) -> None:
        """Lay out float32[n, t, v]; n and t at least 1."""
        self.count, frames, vocabulary = log_probs.shape
        blocks = -(-self.count // _BLOCK)
        padded = np.zeros((blocks * _BLOCK, frames, vocabulary), np.float32)
        padded[: self.count] = log_probs
        by_symbol = padded.reshape(blocks, _BLOCK, frames, vocabulary).transpose(0, 3, 2, 1)
        self._blocks = np.ascontiguousarray(by_symbol)

    def best_scores(self, sequences: Sequence[Ids]) -> Floats:
        """Mean log-probability a symbol of the best path of each sequence anywhere in each context.

        Args:
            sequences: int16[length ≥ 1] each, symbols of the head.

        Returns:
            float32[len(sequences), n]; minus infinity where a sequence has more symbols than a context has frames.

        Raises:
            ValueError: a sequence is empty or holds another symbol.
        """
        if not sequences:
            return np.zeros((0, self.count), np.float32)
        lengths = np.array([len(s) for s in sequences], np.int64)
        symbols = np.concatenate(sequences).astype(np.int16)
        # Compiled code reads without looking where a row ends.
        if lengths.min() < 1 or not 0 <= symbols.min() <= symbols.max() < self._blocks.shape[1]:
            raise ValueError(f"a sequence is empty or holds a symbol outside 0..{self._blocks.shape[1] - 1}")
        order = sorted(range(len(sequences)), key=lambda i: sequences[i].tobytes())
        ordered = [sequences[i] for i in order]
        first = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
        best = _best_of_blocks(self._blocks, np.concatenate(ordered).astype(np.int16), first, _shared(ordered))
        scores = np.empty_like(best)
        scores[order] = best / lengths[order, None].astype(np.float32)
        return scores[:, : self.count]


def _shared(sequences: Sequence[Ids]) -> NDArray[np.int64]:
    """How many first symbols each sequence has in common with the one before it."""
    shared = np.zeros(len(sequences), np.int64)
    for i in range(1, len(sequences)):
        n = min(len(sequences[i - 1]), len(sequences[i]))
        differ = np.flatnonzero(sequences[i - 1][:n] != sequences[i][:n])
        shared[i] = differ[0] if len(differ) else n
    return shared


@compiled
def _best_of_blocks(blocks: Floats, symbols: Ids, first: NDArray[np.int64], shared: NDArray[np.int64]) -> Floats:
    """The work of `best_scores`: sequence i is symbols[first[i] : first[i + 1]], of which shared[i] are known already.

    label[at, frame] is the best path that stands in symbol `at` in that frame, gap[at, frame] in the blank after it.
    """
    n, frames, width = len(first) - 1, blocks.shape[2], blocks.shape[3]
    longest = 0
    for i in range(n):
        longest = max(longest, first[i + 1] - first[i])
    best = np.full((n, len(blocks) * width), -np.inf, np.float32)
    label = np.empty((longest, frames, width), np.float32)
    gap = np.empty((longest, frames, width), np.float32)
    # A path may begin anywhere and costs nothing until then.
    start = np.zeros((frames, width), np.float32)
    for block in range(len(blocks)):
        blank = blocks[block, BLANK]
        for i in range(n):
            sequence = symbols[first[i] : first[i + 1]]
            for at in range(shared[i], len(sequence)):
                row, here, after = blocks[block, sequence[at]], label[at], gap[at]
                from_gap = start if at == 0 else gap[at - 1]
                # Between equal symbols there must be a blank.
                skips = at > 0 and sequence[at] != sequence[at - 1]
                from_label = label[at - 1] if skips else from_gap
                for c in range(width):
                    here[0, c] = row[0, c] if at == 0 else np.float32(-np.inf)
                    after[0, c] = -np.inf
                for frame in range(1, frames):
                    for c in range(width):
                        held = here[frame - 1, c]
                        entered = max(from_gap[frame - 1, c], from_label[frame - 1, c])
                        here[frame, c] = max(held, entered) + row[frame, c]
                        after[frame, c] = max(after[frame - 1, c], held) + blank[frame, c]
            last, found = label[len(sequence) - 1], best[i, block * width : (block + 1) * width]
            for frame in range(frames):
                for c in range(width):
                    found[c] = max(found[c], last[frame, c])
    return best
