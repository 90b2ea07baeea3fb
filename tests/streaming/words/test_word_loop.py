"""Token passing over the word tree finds what trying every sequence of words finds."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.symbols import BLANK, BOUND
from streaming.words.bigrams import Bigrams, affinity
from streaming.words.word_ends import NEVER, NO_WORD, Ends, empty_ends, in_bounds
from streaming.words.word_loop import WordsBefore, nothing_before, scratch_for, word_ends
from streaming.words.word_tree import word_tree

Floats = NDArray[np.float32]
SYMBOLS = 5
# "aa" says one symbol twice, which needs a blank between; 0 and 2 sound alike.
SAID = ((2, 2), (3, 4), (2, 2), (4,))
UNIGRAM = np.array([-1.0, -2.0, -0.5, -3.0], np.float32)
NO_BIGRAMS = Bigrams(
    UNIGRAM, np.zeros(4, np.float32), np.zeros(5, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
)
SCALE = 0.7


def _log_probs(seed: int, frames: int) -> Floats:
    logits = np.random.default_rng(seed).normal(0, 2, (frames, SYMBOLS))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def _path_score(log_probs: Floats, symbols: list[int]) -> float:
    """The best CTC path of exactly these symbols over all frames, by trying every alignment."""
    best = -np.inf
    for path in itertools.product(range(SYMBOLS), repeat=len(log_probs)):
        collapsed = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
        if [s for s in collapsed if s != BLANK] == symbols and path[0] == BOUND:
            best = max(best, float(sum(log_probs[i, s] for i, s in enumerate(path))))
    return best


def _by_trying(log_probs: Floats, most_words: int = 2) -> float:
    best = -np.inf
    for count in range(1, most_words + 1):
        for words in itertools.product(range(4), repeat=count):
            symbols = [s for word in words for s in (BOUND, *SAID[word])]
            best = max(best, _path_score(log_probs, symbols) + SCALE * float(UNIGRAM[list(words)].sum()))
    return best


def _pass(
    log_probs: Floats,
    bigrams: Bigrams = NO_BIGRAMS,
    anything: float = -1e30,
    *,
    back: bool = False,
    beam: float = 1e6,
    before: WordsBefore | None = None,
    frame: int = 0,
) -> tuple[Ends, WordsBefore]:
    tree = word_tree([s[::-1] if back else s for s in SAID], range(4), UNIGRAM)
    begin, heard = before or nothing_before(3), np.full(len(log_probs), anything, np.float32)
    return word_ends(log_probs, heard, begin, frame, tree, bigrams, SCALE, beam, 3, back, scratch_for(tree))


def _ends(log_probs: Floats, bigrams: Bigrams = NO_BIGRAMS, anything: float = -1e30, *, back: bool = False) -> Ends:
    return _pass(log_probs, bigrams, anything, back=back)[0]


@pytest.mark.parametrize("seed", range(6))
def test_the_best_token_is_the_best_sequence_of_words(seed: int) -> None:
    """With an endless beam, the score after each frame is the maximum over all words and alignments."""
    log_probs = _log_probs(seed, 5)
    ends = _ends(log_probs)
    for frames in range(2, 6):
        expected = _by_trying(log_probs[:frames])
        assert ends.score[frames, 0] == pytest.approx(expected if np.isfinite(expected) else NEVER, abs=1e-4)


def test_backwards_gives_the_same_whole() -> None:
    """Read from the last frame to the first, a stretch between two bounds scores the same."""
    log_probs = _log_probs(3, 6)
    log_probs[:, BOUND] = -50.0
    log_probs[[0, -1], BOUND] = 0.0
    forwards = _ends(log_probs[:-1]).score[5, 0]
    backwards = _ends(np.ascontiguousarray(log_probs[1:][::-1]), back=True).score[5, 0]
    assert forwards == pytest.approx(backwards, abs=1e-4)


def test_words_of_a_row_differ_and_fall() -> None:
    """A row holds each word once, the best first."""
    ends = _ends(_log_probs(1, 12))
    for scores, words in zip(ends.score, ends.word, strict=True):
        there = scores > NEVER
        assert (np.diff(scores[there]) <= 0).all()
        assert len(set(words[there].tolist())) == there.sum()


def test_a_known_pair_of_words_is_preferred() -> None:
    """The bigram decides between words that sound alike, and its log-probability replaces the unigram."""
    pair = Bigrams(
        UNIGRAM,
        np.zeros(4, np.float32),
        np.array([0, 0, 0, 0, 1], np.int32),
        np.zeros(1, np.int32),
        np.array([-0.1], np.float32),
    )
    assert affinity(pair, 3, 0) == pytest.approx(-0.1 - UNIGRAM[0])
    assert affinity(pair, 3, 1) == affinity(pair, NO_WORD, 0) == 0.0
    certain = np.full((6, SYMBOLS), -20.0, np.float32)
    for frame, symbol in enumerate((BOUND, 4, BOUND, 2, BLANK, 2)):
        certain[frame, symbol] = 0.0
    assert _ends(certain).word[6, 0] == 2
    assert _ends(certain, pair).word[6, 0] == 0


def test_an_open_beginning_stands_for_a_cut_word() -> None:
    """What is heard as anything enters as a token without a word, at its own score."""
    ends = _ends(_log_probs(2, 4), anything=-0.1)
    assert ends.word[1, 0] == NO_WORD
    assert ends.score[1, 0] == np.float32(-0.1)


@given(seed=st.integers(0, 9999), parts=st.lists(st.integers(1, 9), min_size=1, max_size=6), beam=st.floats(1, 20))
def test_tokens_moved_on_later_are_those_of_one_pass(seed: int, parts: list[int], beam: float) -> None:
    """However the frames are parted, every row of ends and of bounds is that of all frames at once."""
    frames = sum(parts)
    log_probs = _log_probs(seed, frames)
    whole, _ = _pass(log_probs, anything=-0.7, beam=beam)
    bounds = in_bounds(log_probs, whole, empty_ends(1, 3))
    before, stood, first = nothing_before(3), empty_ends(1, 3), 0
    for part in parts:
        rows = log_probs[first : first + part]
        ends, before = _pass(rows, anything=-0.7, beam=beam, before=before, frame=first)
        stand = in_bounds(rows, ends, stood)
        stood, first = stand.rows(part - 1, part), first + part
        for found, expected in ((ends, whole.rows(first - part, first + 1)), (stand, bounds.rows(first - part, first))):
            assert np.array_equal(found.score, expected.score)
            assert np.array_equal(found.word, expected.word)
            assert np.array_equal(found.start, expected.start)


def test_a_bound_may_last() -> None:
    """A token stands in the bound for as many frames as are said, at the sum of them."""
    log_probs = _log_probs(4, 8)
    ends = _ends(log_probs)
    bounds = in_bounds(log_probs, ends, empty_ends(1, 3))
    for frame in range(8):
        expected = max(
            float(ends.score[first, 0]) + float(log_probs[first : frame + 1, BOUND].sum()) for first in range(frame + 1)
        )
        if expected > NEVER / 2:
            assert bounds.score[frame, 0] == pytest.approx(expected, abs=1e-4)
