"""The best CTC paths of many sequences at once: sequences of like length side by side in lanes, as vector units count.

A step moves one symbol of all lanes of a block over one frame, so that one instruction works on several sequences.
Lane for lane the sums are those of plain loops, to the last bit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BLANK

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
# With fewer, most of the time goes into what surrounds the vector instructions.
LANES = 128
_NEVER = np.float32(-np.inf)


class Lanes(NamedTuple):
    """Blocks of `LANES` sequences each, the shortest sequences first.

    Attributes:
        symbols: uint32[rows, LANES]; below the end of a sequence stands a symbol that no head has, the vocabulary's
            size.
        repeats: float32[rows, LANES], minus infinity where a symbol is the one before it, else 0.
        first: int64[blocks + 1]; the rows of block b are first[b] to first[b + 1].
        last: int64[blocks, LANES], the row within its block of each sequence's last symbol.
        slot: int64[n], block · LANES + lane of each sequence.
    """

    symbols: NDArray[np.uint32]
    repeats: Floats
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    slot: NDArray[np.int64]


class LaneTokens(NamedTuple):
    """Where the paths of all sequences stand after some frames: what later frames need of those before.

    Attributes:
        state: float32[rows, 2, LANES], the best path in each symbol, and in the blank after it.
        alive: int64[blocks], the last row of each block in which a path may still be good enough; -1 where none was.
    """

    state: Floats
    alive: NDArray[np.int64]

    def copy(self) -> "LaneTokens":
        """Equal tokens that go their own way."""
        return LaneTokens(self.state.copy(), self.alive.copy())


def no_tokens(lanes: Lanes) -> LaneTokens:
    """Before the first frame."""
    return LaneTokens(
        np.full((len(lanes.symbols), 2, LANES), _NEVER, np.float32), np.full(len(lanes.last), -1, np.int64)
    )


def lay_out(sequences: Sequence[Ids], vocabulary: int) -> Lanes:
    """Put sequences (each at least one symbol below `vocabulary`) into lanes."""
    lengths = np.array([len(s) for s in sequences], np.int64)
    order = np.argsort(lengths, kind="stable")
    blocks = -(-len(order) // LANES)
    slot = np.empty(len(order), np.int64)
    slot[order] = np.arange(len(order))
    longest = np.array([lengths[order[: (block + 1) * LANES][-1]] for block in range(blocks)], np.int64)
    first = np.concatenate([[0], np.cumsum(longest)]).astype(np.int64)
    symbols = np.full((int(first[-1]), LANES), vocabulary, np.uint32)
    flat = np.concatenate([np.zeros(0, np.int16), *sequences])
    lane = np.repeat(slot, lengths)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    symbols[first[lane // LANES] + place, lane % LANES] = flat
    repeats = np.zeros(symbols.shape, np.float32)
    repeats[1:][symbols[1:] == symbols[:-1]] = _NEVER
    # An empty lane ends where the first of its block does: it must not make the block look at its end sooner.
    last = np.repeat(lengths[order[::LANES]] - 1, LANES)
    last[slot] = lengths - 1
    return Lanes(symbols, repeats, first, last.reshape(blocks, LANES), slot)


@compiled
def _begin(state: Floats, emitted: Floats, blank: np.float32) -> None:
    """Move the first symbol, which may be entered in any frame at no cost."""
    for k in range(LANES):
        held, waited = state[0, k], state[1, k]
        state[0, k] = (held if held > np.float32(0.0) else np.float32(0.0)) + emitted[k]
        state[1, k] = (waited if waited > held else held) + blank


@compiled
def _move(state: Floats, before: Floats, repeats: Floats, emitted: Floats, blank: np.float32) -> None:
    """Move a later symbol, which is entered from the one before it: float32[2, LANES], in the label, in the blank."""
    for k in range(LANES):
        held, waited = state[0, k], state[1, k]
        passed, rested = before[0, k] + repeats[k], before[1, k]
        entered = rested if rested > passed else passed
        state[0, k] = (held if held > entered else entered) + emitted[k]
        state[1, k] = (waited if waited > held else held) + blank


@compiled
def _emit(row: Floats, symbols: NDArray[np.uint32], emitted: Floats) -> None:
    for k in range(LANES):
        emitted[k] = row[symbols[k]]


@compiled
def _lives(state: Floats, limit: Floats) -> bool:
    """Whether the token of any lane may still reach its limit."""
    for k in range(LANES):  # noqa: SIM110 (generators are not compiled)
        if state[0, k] >= limit[k] or state[1, k] >= limit[k]:
            return True
    return False


@compiled
def _note(state: Floats, last: NDArray[np.int64], frame: int, best: Floats, end: NDArray[np.int64]) -> None:
    """Keep the best score of each lane's last symbol, and its first frame."""
    for k in range(LANES):
        if state[last[k], 0, k] > best[k]:
            best[k], end[k] = state[last[k], 0, k], frame


@compiled
def best_ends(
    log_probs: Floats, lanes: Lanes, limits: Floats, tokens: LaneTokens, first_end: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Move the tokens over some frames; the best path of every lane that ends in one of them.

    A token stands in a label or in the blank after it. Log-probabilities only fall, so what is below the limit stays
    below; labels after the last one above it, in all lanes of a block, need not be looked at.

    Args:
        log_probs: float32[t, vocabulary + 1], the last column minus infinity.
        lanes: the sequences.
        limits: float32[blocks, LANES], scores that a path must reach; infinity for an empty lane. The same for all
            frames of a stretch.
        tokens: after the frames before; moved on in place.
        first_end: paths that end before this frame do not count.

    Returns:
        float32[blocks, LANES] scores, below the limit anything, and int64[blocks, LANES] the frames of the ends.
    """
    blocks = len(limits)
    best = np.full((blocks, LANES), _NEVER, np.float32)
    end = np.full((blocks, LANES), first_end, np.int64)
    emitted = np.empty(LANES, np.float32)
    for block in range(blocks):
        start, stop = lanes.first[block], lanes.first[block + 1]
        state, repeats, symbols = tokens.state[start:stop], lanes.repeats[start:stop], lanes.symbols[start:stop]
        limit, last = limits[block], lanes.last[block]
        alive = tokens.alive[block]
        for frame in range(len(log_probs)):
            row = log_probs[frame]
            top, alive = min(alive + 1, stop - start - 1), -1
            # From the last symbol down, so that those before it still hold what they held a frame ago.
            for at in range(top, 0, -1):
                _emit(row, symbols[at], emitted)
                _move(state[at], state[at - 1], repeats[at], emitted, row[BLANK])
                if alive < 0 and _lives(state[at], limit):
                    alive = at
            _emit(row, symbols[0], emitted)
            _begin(state[0], emitted, row[BLANK])
            alive = max(alive, 0)
            if frame >= first_end and top >= last[0]:
                _note(state, last, frame, best[block], end[block])
        tokens.alive[block] = alive
    return best, end
