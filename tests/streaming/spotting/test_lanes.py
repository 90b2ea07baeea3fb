"""Sequences in lanes: every one has its place, whatever their number and lengths."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.spotting.alignment import AlignmentBank
from streaming.spotting.lanes import LANES, lay_out
from streaming.symbols import BLANK

VOCABULARY = 5
LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=3 * LANES)


def _sequences(lengths: Sequence[int]) -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(len(lengths))
    return [rng.integers(1, VOCABULARY, length).astype(np.int16) for length in lengths]


@given(lengths=LENGTHS)
def test_every_sequence_can_be_read_back(lengths: list[int]) -> None:
    """Its symbols stand in its lane from the first row of its block to its last one, then nothing but padding."""
    sequences = _sequences(lengths)
    lanes = lay_out(sequences, VOCABULARY)
    assert len(set(lanes.slot.tolist())) == len(sequences)
    for sequence, slot in zip(sequences, lanes.slot.tolist(), strict=True):
        block, lane = divmod(slot, LANES)
        column = lanes.symbols[lanes.first[block] : lanes.first[block + 1], lane]
        assert column[: len(sequence)].tolist() == sequence.tolist()
        assert set(column[len(sequence) :].tolist()) <= {VOCABULARY}
        assert lanes.last[block, lane] == len(sequence) - 1


def _slow_score(log_probs: NDArray[np.float32], sequence: NDArray[np.int16], first_end: int) -> float:
    """The recursion of one sequence in plain loops and single precision."""
    never = np.float32(-np.inf)
    label, gap = [never] * len(sequence), [never] * len(sequence)
    best = never
    for frame, row in enumerate(log_probs):
        for at in reversed(range(len(sequence))):
            entered = np.float32(0.0)
            if at:
                repeats = sequence[at] == sequence[at - 1]
                entered = gap[at - 1] if repeats else max(gap[at - 1], label[at - 1])
            held = label[at]
            label[at] = max(held, entered) + row[sequence[at]]
            gap[at] = max(gap[at], held) + row[BLANK]
        if frame >= first_end:
            best = max(best, label[-1])
    return float(best / np.float32(len(sequence)))


@pytest.mark.parametrize("count", [1, LANES - 1, LANES, LANES + 1, 2 * LANES + 7])
def test_full_and_half_filled_blocks_score_as_plain_loops(count: int) -> None:
    """The numbers are the same to the last bit, at the bounds of the blocks too."""
    rng = np.random.default_rng(count)
    logits = 2 * rng.standard_normal((20, VOCABULARY))
    log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    sequences = _sequences(rng.integers(1, 12, count).tolist())
    found = AlignmentBank(sequences, VOCABULARY).score(log_probs, 8)
    assert found.score.tolist() == [_slow_score(log_probs, sequence, 8) for sequence in sequences]
