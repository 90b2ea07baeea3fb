"""Forms that are alike are found by sounds, letters and vectors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import index_builder.lint_sound
from index_builder.lint_sound import (
    ALIKE,
    MAX_PAIRS_OF_ONE,
    Pair,
    Sounds,
    are_compared,
    edit_distance_at_most_one,
    pairs_alike,
)
from streaming.entries import Form, make_form


def _forms(*said: tuple[str, str], kind: str = "term") -> list[Form]:
    """Forms of one entry each: text, and pronunciation with words parted by |."""
    return [
        make_form(i, text, [[tuple(word.split()) for word in arpabet.split("|")]] if arpabet else [], kind, text)
        for i, (text, arpabet) in enumerate(said)
    ]


def _apart(count: int) -> NDArray[np.float32]:
    return np.eye(count, max(count, 2), dtype=np.float32)


def _pairs(forms: list[Form], vectors: NDArray[np.float32] | None = None) -> list[Pair]:
    return pairs_alike(Sounds(forms, _apart(len(forms)) if vectors is None else vectors))


def _slow_distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_that_of_the_whole_table(left: str, right: str) -> None:
    """The short way to 0 and 1 agrees with the table of all distances."""
    distance = _slow_distance(left, right)
    assert edit_distance_at_most_one(left, right) == (distance if distance <= 1 else None)


@given(st.lists(st.text("abc", min_size=1, max_size=7), min_size=2, max_size=8, unique=True))
def test_pairs_by_letters_are_those_of_brute_force(texts: list[str]) -> None:
    """Looking up shared keys finds what comparing all with all finds, up to the bound on pairs of one form."""
    forms = _forms(*((text, "") for text in texts))
    slow = {
        (a, b)
        for a, b in itertools.combinations(range(len(texts)), 2)
        if min(len(texts[a]), len(texts[b])) >= 5 and _slow_distance(texts[a], texts[b]) == 1
    }
    fast = {(pair.first, pair.second) for pair in _pairs(forms)}
    assert fast <= slow
    if all(sum(form in pair for pair in slow) <= MAX_PAIRS_OF_ONE for form in range(len(texts))):
        assert fast == slow


def test_homophones_have_the_same_sounds() -> None:
    """Whatever their letters and word bounds."""
    forms = _forms(
        ("cite", "S AY T"), ("site", "S AY T"), ("ice cream", "AY S|K R IY M"), ("i scream", "AY|S K R IY M")
    )
    pairs = _pairs(forms)
    assert [(pair.first, pair.second, pair.sounds) for pair in pairs] == [(0, 1, 0), (2, 3, 0)]
    assert all(pair.is_homophone for pair in pairs)


def test_near_homophones_differ_in_one_sound_or_letter() -> None:
    """Only where they are long enough: of short ones every third is near another."""
    forms = _forms(("affect", "AH F EH K T"), ("effect", "IH F EH K T"), ("cat", "K AE T"), ("bat", "B AE T"))
    (pair,) = _pairs(forms)
    assert (pair.first, pair.second, pair.sounds, pair.letters, pair.is_homophone) == (0, 1, 1, 1, False)


def test_vectors_find_what_letters_do_not() -> None:
    """Texts whose cosine reaches the bound are alike, and the cosine is told."""
    vectors = np.array([[1, 0], [0.95, np.sqrt(1 - 0.95**2)], [0, 1]], np.float32)
    forms = _forms(("adaptation", ""), ("adoption", ""), ("kernel", ""))
    (pair,) = _pairs(forms, vectors)
    assert (pair.first, pair.second, pair.sounds, pair.letters) == (0, 1, None, None)
    assert pair.similarity >= ALIKE
    assert pair.similarity == pytest.approx(0.95)


def test_forms_of_one_entry_and_equal_texts_are_no_pair() -> None:
    """Other names of an entry may sound as they like; equal texts are told elsewhere."""
    own = [make_form(0, text, [], "term", text) for text in ("gradient", "gradients")]
    assert _pairs(own) == []
    assert _pairs(_forms(("kernel", ""), ("kernel", ""))) == []


def test_inflections_are_not_compared() -> None:
    """They are as alike as the words they come from."""
    assert _pairs(_forms(("gradients", ""), ("gradienta", ""), kind="plural")) == []


def test_one_form_has_few_pairs() -> None:
    """A numbered series does not fill the report: the homophones and the most similar stay."""
    forms = _forms(*((f"kernel{letter}", "") for letter in "abcdefgh"))
    pairs = _pairs(forms)
    assert pairs
    for form in range(len(forms)):
        assert sum(form in (pair.first, pair.second) for pair in pairs) <= MAX_PAIRS_OF_ONE


def test_very_many_forms_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound there are no pairs, and it can be told."""
    forms = _forms(("gradient", ""), ("gradiens", ""))
    sounds = Sounds(forms, _apart(2))
    assert are_compared(sounds)
    monkeypatch.setattr(index_builder.lint_sound, "MAX_COMPARED", 1)
    assert not are_compared(sounds)
    assert pairs_alike(sounds) == []
