"""The bank of CTC states finds what plain loops and full enumeration find, and `locate` finds the same path."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.spotting.alignment import AlignmentBank, locate
from streaming.symbols import BLANK

Floats = NDArray[np.float32]
VOCABULARY = 4
SYMBOLS = st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=6)


def _log_probs(seed: int, frames: int, vocabulary: int = VOCABULARY) -> Floats:
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, vocabulary))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def _peaky(labels: Sequence[int], other: float = -9.0) -> Floats:
    """Log-probabilities that leave no doubt: 0 for the label of each frame, `other` for the rest."""
    log_probs = np.full((len(labels), VOCABULARY), other, np.float32)
    log_probs[np.arange(len(labels)), labels] = 0.0
    return log_probs


def _ids(symbols: Sequence[int]) -> NDArray[np.int16]:
    return np.array(symbols, np.int16)


def _paths(log_probs: Floats, symbols: Sequence[int]) -> list[list[tuple[float, int]]]:
    """Viterbi by plain loops: for each frame the best (sum, start) of a path that ends there, sums of −inf included."""
    states = [symbol for pair in itertools.zip_longest(symbols, [], fillvalue=BLANK) for symbol in pair][:-1]
    impossible = (-math.inf, -1)
    old = [impossible] * len(states)
    ends = []
    for frame, row in enumerate(log_probs.astype(np.float64).tolist()):
        new = []
        for state, symbol in enumerate(states):
            before = [old[state]]
            if state == 0:
                before.append((0.0, frame))
            if state >= 1:
                before.append(old[state - 1])
            if state >= 2 and symbol not in (BLANK, states[state - 2]):
                before.append(old[state - 2])
            best, start = max(before, key=lambda path: path[0])
            new.append((best + row[symbol], start))
        old = new
        ends.append(new[-1:])
    return ends


def _collapsed(labels: Sequence[int]) -> list[int]:
    return [label for label, _ in itertools.groupby(labels) if label != BLANK]


@given(
    seed=st.integers(0, 9999), symbols=st.lists(st.integers(1, 2), min_size=1, max_size=3), first_end=st.integers(0, 4)
)
def test_bank_agrees_with_enumeration_of_all_labellings(seed: int, symbols: list[int], first_end: int) -> None:
    """The score is that of the best labelling of any stretch that collapses to the sequence and ends in its symbol."""
    frames = 5
    log_probs = _log_probs(seed, frames, vocabulary=3)
    sums = [-math.inf]
    for start, end in itertools.combinations(range(frames + 1), 2):
        if end > first_end:
            for labels in itertools.product(range(3), repeat=end - start):
                if labels[-1] != BLANK and _collapsed(labels) == symbols:
                    sums.append(float(log_probs[np.arange(start, end), labels].sum()))
    found = AlignmentBank([_ids(symbols)], 3).score(log_probs, first_end)
    assert found.score[0] == pytest.approx(max(sums) / len(symbols), abs=1e-4)


@given(seed=st.integers(0, 9999), frames=st.integers(1, 25), symbols=SYMBOLS, data=st.data())
def test_bank_agrees_with_plain_loops(seed: int, frames: int, symbols: list[int], data: st.DataObject) -> None:
    """Score and end are those of a Viterbi over each state and frame; no path ends before the frame asked for."""
    first_end = data.draw(st.integers(0, frames - 1))
    log_probs = _log_probs(seed, frames)
    at_end = [path[0][0] / len(symbols) for path in _paths(log_probs, symbols)]
    found = AlignmentBank([_ids(symbols)], VOCABULARY).score(log_probs, first_end)
    assert found.score[0] == pytest.approx(max(at_end[first_end:]), abs=1e-4)
    assert found.end[0] >= first_end
    assert at_end[found.end[0]] == pytest.approx(float(found.score[0]), abs=1e-4)


@given(seed=st.integers(0, 9999), sequences=st.lists(SYMBOLS, min_size=1, max_size=6))
def test_sequences_together_score_as_each_alone(seed: int, sequences: list[list[int]]) -> None:
    """Neighbours in the flat row of states do not leak into each other: the numbers are the same to the last bit."""
    log_probs = _log_probs(seed, 14)
    together = AlignmentBank([_ids(s) for s in sequences], VOCABULARY).score(log_probs, 3)
    for row, symbols in enumerate(sequences):
        alone = AlignmentBank([_ids(symbols)], VOCABULARY).score(log_probs, 3)
        assert (together.score[row], together.end[row]) == (alone.score[0], alone.end[0])


@given(seed=st.integers(0, 9999), sequences=st.lists(SYMBOLS, min_size=1, max_size=6), least=st.floats(-6, 0, width=32))
def test_giving_up_early_changes_no_score_that_is_good_enough(
    seed: int, sequences: list[list[int]], least: float
) -> None:
    """Scores from `least` on are the same to the last bit; every other one is minus infinity."""
    log_probs = _log_probs(seed, 14)
    bank = AlignmentBank([_ids(s) for s in sequences], VOCABULARY)
    whole = bank.score(log_probs, 3)
    early = bank.score(log_probs, 3, np.full(len(sequences), least, np.float32))
    # The product of a length and `least` is rounded.
    assert not np.any(np.isneginf(early.score) & (whole.score > least + 1e-5))
    kept = ~np.isneginf(early.score)
    assert np.all(whole.score[kept] >= least - 1e-5)
    assert np.array_equal(early.score[kept], whole.score[kept])
    assert np.array_equal(early.end[kept], whole.end[kept])


@given(seed=st.integers(0, 9999), frames=st.integers(6, 25), symbols=SYMBOLS)
def test_locate_finds_the_path_of_the_bank(seed: int, frames: int, symbols: list[int]) -> None:
    """From the bank's end, the same score comes back, with the start that plain loops find."""
    log_probs = _log_probs(seed, frames)
    found = AlignmentBank([_ids(symbols)], VOCABULARY).score(log_probs, 0)
    if np.isneginf(found.score[0]):
        return
    end = int(found.end[0])
    span = locate(log_probs, _ids(symbols), end)
    [(_, start)] = _paths(log_probs, symbols)[end]
    assert (span.start, span.end) == (start, end)
    assert span.score == pytest.approx(float(found.score[0]), abs=1e-4)


@given(seed=st.integers(0, 9999), symbols=SYMBOLS)
def test_free_score_is_the_sum_of_the_best_symbols(seed: int, symbols: list[int]) -> None:
    """`free` sums the best symbol of each frame of the span, per symbol of the sequence; no path is above it."""
    log_probs = _log_probs(seed, 18)
    span = locate(log_probs, _ids(symbols), 17)
    best = sum(max(row) for row in log_probs[span.start : span.end + 1].tolist())
    assert span.free == pytest.approx(best / len(symbols), abs=1e-4)
    assert span.score <= span.free + 1e-5


def test_repeated_symbol_needs_a_blank() -> None:
    """Two equal symbols in a row are heard only where a blank parts them; two different ones need none."""
    bank = AlignmentBank([_ids([1, 1]), _ids([1, 2])], VOCABULARY)
    parted = bank.score(_peaky([0, 1, 0, 1, 0]), 0)
    assert parted.score[0] == 0.0
    held = bank.score(_peaky([0, 1, 1, 1, 0]), 0)
    assert held.score[0] == pytest.approx(-9 / 2)
    assert bank.score(_peaky([0, 1, 2, 0, 0]), 0).score[1] == 0.0


@pytest.mark.parametrize("before", [0, 3, 7])
@pytest.mark.parametrize("after", [0, 5])
def test_start_and_end_are_free(before: int, after: int) -> None:
    """Where in the frames a sequence lies, and what is heard around it, does not change its score."""
    log_probs = _peaky([3] * before + [1, 1, 0, 2] + [3] * after)
    found = AlignmentBank([_ids([1, 2])], VOCABULARY).score(log_probs, 0)
    assert (found.score[0], found.end[0]) == (0.0, before + 3)
    span = locate(log_probs, _ids([1, 2]), before + 3)
    # On equal scores the shortest span is the one: the second of the two frames of symbol 1.
    assert (span.start, span.score, span.free) == (before + 1, 0.0, 0.0)


def test_path_that_ended_too_early_does_not_count() -> None:
    """A perfect path before `first_end` is passed over for the best one that ends in time."""
    log_probs = _peaky([1, 2, 0, 0, 1, 3])
    bank = AlignmentBank([_ids([1, 2])], VOCABULARY)
    assert (bank.score(log_probs, 1).score[0], bank.score(log_probs, 1).end[0]) == (0.0, 1)
    late = bank.score(log_probs, 2)
    assert late.score[0] == pytest.approx(-9 / 2)
    assert late.end[0] >= 2


def test_sequence_longer_than_the_frames_never_fits() -> None:
    """A path needs a frame for each symbol; where there are too few the score is minus infinity."""
    found = AlignmentBank([_ids([1, 2, 3]), _ids([1])], VOCABULARY).score(_log_probs(0, 2), 0)
    assert np.isneginf(found.score[0])
    assert np.isfinite(found.score[1])


def test_locate_looks_back_no_further_than_told() -> None:
    """`longest` bounds the span, so that a path cannot be stretched over the whole context."""
    log_probs = _peaky([1, *[0] * 20, 2])
    assert locate(log_probs, _ids([1, 2]), 21).start == 0
    assert locate(log_probs, _ids([1, 2]), 21, longest=10).start >= 12


def test_bank_of_nothing_scores_nothing() -> None:
    """No sequences give no scores."""
    found = AlignmentBank([], VOCABULARY).score(_log_probs(0, 5), 0)
    assert (len(found.score), len(found.end)) == (0, 0)


def test_symbol_outside_the_head_is_refused() -> None:
    """Compiled code would read memory that is not its own; likewise log-probabilities of another width."""
    with pytest.raises(ValueError, match=r"outside 0\.\.3"):
        AlignmentBank([_ids([1, VOCABULARY])], VOCABULARY)
    with pytest.raises(ValueError, match=r"outside 0\.\.3"):
        AlignmentBank([_ids([-1])], VOCABULARY)
    with pytest.raises(ValueError, match="for 4 symbols"):
        AlignmentBank([_ids([1])], VOCABULARY).score(np.zeros((5, 3), np.float32), 0)


def test_sequence_without_symbols_is_refused() -> None:
    """An empty sequence would fit everything."""
    with pytest.raises(ValueError, match="without symbols"):
        AlignmentBank([_ids([1]), _ids([])], VOCABULARY)
