"""Many contexts side by side, and shared beginnings, give what one alignment at a time gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.index.background_paths import ContextBlocks
from streaming.spotting.alignment import AlignmentBank

VOCABULARY = 6


def _contexts(n: int, frames: int, seed: int) -> NDArray[np.float32]:
    scores = np.random.default_rng(seed).standard_normal((n, frames, VOCABULARY)) * 2
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=2, keepdims=True), np.float32)


_SEQUENCES = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=7).map(lambda s: np.array(s, np.int16)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(_SEQUENCES, st.integers(1, 40), st.integers(1, 12), st.integers(0, 1_000))
def test_scores_are_those_of_the_bank_to_the_last_bit(
    sequences: list[NDArray[np.int16]], n: int, frames: int, seed: int
) -> None:
    """Any number of contexts, sequences with doubled symbols, repeated and begun alike, longer than a context too."""
    contexts = _contexts(n, frames, seed)
    found = ContextBlocks(contexts).best_scores(sequences)
    assert (found.shape, found.dtype) == ((len(sequences), n), np.dtype(np.float32))
    for number, context in enumerate(contexts):
        slow = AlignmentBank(sequences, VOCABULARY).score(context, 0).score
        np.testing.assert_array_equal(found[:, number], slow)


@pytest.mark.parametrize("sequence", [[], [VOCABULARY], [-1]])
def test_sequences_outside_the_head_are_refused(sequence: list[int]) -> None:
    """Compiled code reads without looking; what it gets is looked at before."""
    with pytest.raises(ValueError, match="empty or holds a symbol"):
        ContextBlocks(_contexts(1, 3, 0)).best_scores([np.array(sequence, np.int16)])
