"""The prefix beam finds what enumeration finds, and words become pronunciations in the order of their probability."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming import grapheme
from streaming.calibration import FEATURES, Calibration
from streaming.grapheme import SLOTS_PER_LETTER, OnnxPronouncer, prefix_beam
from streaming.model_folder import ModelFolder, ModelSpec
from streaming.symbols import BLANK, CHARACTERS, PHONEMES

Floats = NDArray[np.float32]
# Wide and deep enough that nothing is cut.
WHOLE = {"beam": 10_000, "floor": -1e9}


def _log_probs(seed: int, slots: int, symbols: int) -> Floats:
    logits = np.random.default_rng(seed).standard_normal((slots, symbols))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def _enumerated(log_probs: Floats) -> dict[tuple[int, ...], float]:
    """Probability of each label sequence: the sum over all labellings that collapse to it."""
    slots, symbols = log_probs.shape
    found: dict[tuple[int, ...], float] = {}
    for labels in itertools.product(range(symbols), repeat=slots):
        collapsed = tuple(label for label, _ in itertools.groupby(labels) if label != BLANK)
        path = float(np.exp(log_probs[np.arange(slots), labels].sum()))
        found[collapsed] = found.get(collapsed, 0.0) + path
    return found


@given(seed=st.integers(0, 9999), slots=st.integers(1, 5), symbols=st.integers(2, 3))
def test_beam_agrees_with_enumeration_of_all_labellings(seed: int, slots: int, symbols: int) -> None:
    """Uncut, the beam gives each sequence the summed probability of its labellings, repeated labels among them."""
    log_probs = _log_probs(seed, slots, symbols)
    expected = _enumerated(log_probs)
    found = {labels: np.exp(score) for labels, score in prefix_beam(log_probs, **WHOLE) if score > -1e9}  # type: ignore[arg-type]
    assert found == pytest.approx(expected, abs=1e-5)


@given(seed=st.integers(0, 9999), beam=st.integers(1, 6))
def test_sequences_come_best_first_and_no_more_than_the_beam(seed: int, beam: int) -> None:
    """The order is by log-probability; each sequence comes once; a narrow beam claims no more than there is."""
    log_probs = _log_probs(seed, 6, 4)
    found = prefix_beam(log_probs, beam=beam)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len({labels for labels, _ in found}) == len(found) <= beam
    truth = _enumerated(log_probs)
    assert all(np.exp(score) <= truth[labels] + 1e-5 for labels, score in found)


def test_repeated_label_needs_a_blank_between() -> None:
    """A label held over two slots is one label; with a blank between it is two."""
    certain = np.log(np.array([[0.01, 0.99], [0.99, 0.01], [0.01, 0.99]], np.float32))
    assert prefix_beam(certain)[0][0] == (1, 1)
    assert prefix_beam(certain[[0, 2]])[0][0] == (1,)


def test_symbols_below_the_floor_are_not_tried() -> None:
    """An improbable symbol of a slot opens no sequence."""
    log_probs = np.log(np.array([[0.9, 0.0999, 0.0001]], np.float32))
    assert {labels for labels, _ in prefix_beam(log_probs, floor=-5.0)} == {(), (1,)}
    assert {labels for labels, _ in prefix_beam(log_probs, floor=-50.0)} == {(), (1,), (2,)}


class FakeSession:
    """A network that says each letter in the first of its three slots.

    "c" is K, or S with a third of its probability; "h" is silent, or Z so rarely that nobody says it; the apostrophe is
    silent; other letters are themselves. Padding is loud, so that it would be heard if it were read.
    """

    SOUNDS: Mapping[str, Mapping[str, float]] = {
        "c": {"K": 0.75, "S": 0.25},
        "h": {"": 0.99, "Z": 0.01},
        "'": {"": 1.0},
        "a": {"AE": 1.0},
        "b": {"B": 1.0},
    }

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def run(self, outputs: None, inputs: Mapping[str, NDArray[np.int64]]) -> list[Floats]:
        """Letters int64[n, l] -> log-probabilities float32[n, 3 l, phonemes]."""
        assert outputs is None
        letters = inputs["letters"]
        self.batches.append(letters.shape)
        probability = np.full((*letters.shape, SLOTS_PER_LETTER, len(PHONEMES)), 1e-9, np.float32)
        probability[..., 1:, BLANK] = 1.0
        for row, column in np.ndindex(*letters.shape):
            sounds = self.SOUNDS.get(CHARACTERS[letters[row, column]], {"ZH": 1.0})
            for sound, share in sounds.items():
                probability[row, column, 0, PHONEMES.index(sound)] = share
        return [np.log(probability).reshape(len(letters), -1, len(PHONEMES))]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    """The network behind the pronouncers of a test."""
    fake = FakeSession()

    def open_fake(folder: ModelFolder, name: str) -> FakeSession:
        assert name == "g2p.onnx"
        assert folder.contents == {}
        return fake

    monkeypatch.setattr(grapheme, "open_session", open_fake)
    return fake


def _folder() -> ModelFolder:
    ones = np.ones(len(FEATURES))
    calibration = Calibration(ones, ones, ones, 0.0, (1,), np.array([0.5]), np.ones((1, 1)))
    return ModelFolder(Path("model"), ModelSpec("m", 48_000, 320, 3, 4, "x", ()), "m-1", calibration, {})


def _said(words: Sequence[str], most: int = 3, margin: float = 2.5) -> list[list[str]]:
    pronouncer = OnnxPronouncer(_folder(), most, margin)
    return [[" ".join(way) for way in ways] for ways in pronouncer.pronounce(words)]


@pytest.mark.usefixtures("session")
def test_pronunciations_come_best_first_within_the_margin() -> None:
    """Alternatives follow the best one as long as they are near it, and no more than asked for."""
    assert _said(["cab"]) == [["K AE B", "S AE B"]]
    assert _said(["cab"], margin=1.0) == [["K AE B"]]
    assert _said(["cab"], most=1) == [["K AE B"]]
    assert _said(["hab"]) == [["AE B"]]


@pytest.mark.usefixtures("session")
def test_word_without_a_sound_has_no_pronunciation() -> None:
    """Where silence is the best answer, nothing is made up."""
    assert _said(["'"]) == [[]]


def test_many_words_keep_their_order_and_go_in_batches(session: FakeSession) -> None:
    """Words of like lengths share a call of at most 256; each word is answered in its place, as it is alone."""
    words = ["ab", "b", "cabab", "a"] * 100
    alone = dict(
        zip(("ab", "b", "cabab", "a"), _said(["ab"]) + _said(["b"]) + _said(["cabab"]) + _said(["a"]), strict=True)
    )
    session.batches.clear()
    assert _said(words) == [alone[word] for word in words]
    assert session.batches == [(256, 2), (144, 5)]


def test_no_words_ask_nothing(session: FakeSession) -> None:
    """An empty list needs no call."""
    assert _said([]) == []
    assert session.batches == []


def test_long_word_is_cut(session: FakeSession) -> None:
    """After 64 letters a word is cut, so that one line of rubbish cannot exhaust the memory."""
    [[said]] = _said(["ab" * 50])
    assert session.batches == [(1, 64)]
    assert said == " ".join(["AE B"] * 32)


@pytest.mark.usefixtures("session")
def test_letter_outside_the_alphabet_is_refused() -> None:
    """Only a-z and ' can be asked for."""
    with pytest.raises(KeyError):
        _said(["Ä"])
