"""Pronunciations: the user's win, letters have names, the rest is asked of the model."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.pronounce import (
    SpokenForm,
    Word,
    attach_pronunciations,
    letter_names,
    pronounce_forms,
    split_over_words,
)
from index_builder.testing import LetterPronouncer


class _Several:
    """Three pronunciations of every word, with stress."""

    def pronounce(self, words: list[str]) -> list[list[Word]]:
        return [[("K", "AE1"), ("K", "AE0"), ("K", "EY1"), ("K", "IY1")] for _ in words]


def _attach(term: str, texts: list[str], *written: str) -> tuple[dict[str, tuple[tuple[Word, ...], ...]], list[str]]:
    forms, complaints = attach_pronunciations(term, [SpokenForm(text) for text in texts], written)
    return {form.text: form.given for form in forms}, complaints


def test_each_word_is_asked_once() -> None:
    """Distinct words go to the model in one call; letters do not."""
    pronouncer = LetterPronouncer()
    pronounce_forms([SpokenForm("big dog"), SpokenForm("big s g d")], pronouncer)
    assert pronouncer.asked == ["big", "dog"]


def test_best_pronunciations_first_and_no_stress_twins() -> None:
    """The best of each word comes first; pronunciations that differ in stress only are one."""
    (ways,) = pronounce_forms([SpokenForm("cat mat")], _Several())  # type: ignore[arg-type]
    assert ways == [
        (("K", "AE"), ("K", "AE")),
        (("K", "EY"), ("K", "AE")),
        (("K", "AE"), ("K", "EY")),
    ]


def test_unknown_word_leaves_the_characters_alone() -> None:
    """A form with a word that the model cannot say has no pronunciation."""
    assert pronounce_forms([SpokenForm("ok '")], LetterPronouncer()) == [[]]


def test_letters_are_called_by_their_names() -> None:
    """Single letters and their plurals need no model."""
    assert letter_names("m") == [("EH", "M")]
    assert letter_names("u's") == [("Y", "UW", "Z")]
    assert letter_names("s's") == [("EH", "S", "IH", "Z")]
    assert letter_names("ram") == letter_names("'s") == []
    assert pronounce_forms([SpokenForm("s g")], LetterPronouncer()) == [[(("EH", "S"), ("JH", "IY"))]]


def test_user_pronunciation_wins() -> None:
    """Where the user gave a pronunciation the model's is not used."""
    given_forms, complaints = _attach("Kalman filter", ["kalman filter"], "k aa1 l m ah0 n | f ih1 l t er0")
    assert complaints == []
    forms = [SpokenForm(text, ways) for text, ways in given_forms.items()]
    assert pronounce_forms(forms, LetterPronouncer()) == [
        [(("K", "AA", "L", "M", "AH", "N"), ("F", "IH", "L", "T", "ER"))]
    ]


def test_user_pronunciation_of_an_acronym() -> None:
    """One word belongs to the word, several words to the spelled form."""
    forms, complaints = _attach("SQL", ["s q l"], "S IY K W AH L", "EH S | K Y UW | EH L")
    assert complaints == []
    assert forms == {
        "s q l": ((("EH", "S"), ("K", "Y", "UW"), ("EH", "L")),),
        "sql": ((("S", "IY", "K", "W", "AH", "L"),),),
    }


@pytest.mark.parametrize("written", ["XX Y", "", "|", "ˈkæt"])
def test_what_is_not_arpabet_is_told(written: str) -> None:
    """A pronunciation in other symbols is ignored with a complaint."""
    forms, complaints = _attach("cat", ["cat"], written)
    assert forms == {"cat": ()}
    assert len(complaints) == 1
    assert "not ARPAbet" in complaints[0]


def test_endless_pronunciation_is_told_and_left_out() -> None:
    """Finding its bounds would take for ever; the longest that is taken is done in a moment."""
    forms, (complaint,) = _attach("deep learning", ["deep learning"], "AH1 " * 101)
    assert forms == {"deep learning": ()}
    assert "'deep learning' is ignored: it has 101 symbols, and 100 are the most" in complaint
    assert len(complaint) < 160
    forms, complaints = _attach("deep learning", ["deep learning"], "AH1 " * 100)
    assert (len(forms["deep learning"]), complaints) == (1, [])


def test_missing_bounds_are_found() -> None:
    """A pronunciation without bounds is cut where the model's words are nearest."""
    forms, complaints = _attach("bad mat", ["bad mat"], "B AE D M EH T")
    assert complaints == []
    spoken = [SpokenForm(text, ways) for text, ways in forms.items()]
    assert pronounce_forms(spoken, LetterPronouncer()) == [[(("B", "AE", "D"), ("M", "EH", "T"))]]


def test_other_number_of_words_is_told() -> None:
    """Bounds that do not fit the form's words are guessed, with a complaint."""
    forms, complaints = _attach("big bad mat", ["big bad mat"], "B IH G | B AE D M AE T")
    assert "has 2 words" in complaints[0]
    spoken = [SpokenForm(text, ways) for text, ways in forms.items()]
    assert pronounce_forms(spoken, LetterPronouncer())[0][0] == (("B", "IH", "G"), ("B", "AE", "D"), ("M", "AE", "T"))


def test_too_few_symbols_stay_one_word() -> None:
    """One symbol cannot be cut over two words."""
    assert pronounce_forms([SpokenForm("a b", ((("K",),),))], LetterPronouncer()) == [[(("K",),)]]


def _distance(left: Word, right: Word) -> int:
    if not left or not right:
        return len(left) + len(right)
    change = _distance(left[1:], right[1:]) + (left[0] != right[0])
    return min(change, _distance(left[1:], right) + 1, _distance(left, right[1:]) + 1)


_SYMBOLS = st.lists(st.sampled_from(["K", "AE", "T"]), min_size=1, max_size=3).map(tuple)


@given(
    st.lists(st.sampled_from(["K", "AE", "T"]), min_size=3, max_size=6).map(tuple),
    st.lists(_SYMBOLS, min_size=1, max_size=3),
)
def test_split_is_the_nearest_of_all_splits(symbols: Word, references: list[Word]) -> None:
    """The fast split costs what the best of all splits costs, and loses no symbol."""
    found = split_over_words(symbols, references)
    assert sum(found, ()) == symbols
    assert all(found)

    def cost(words: list[Word]) -> int:
        return sum(_distance(word, reference) for word, reference in zip(words, references, strict=True))

    everything = []
    for cuts in itertools.combinations(range(1, len(symbols)), len(references) - 1):
        bounds = [0, *cuts, len(symbols)]
        everything.append(cost([symbols[a:b] for a, b in itertools.pairwise(bounds)]))
    assert cost(list(found)) == min(everything)
