"""Candidates of terms in a text."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index_builder.term_candidates import TermCandidate, term_candidates, without_references

COMMON = {"time": 1e-3, "house": 1e-4, "garden": 1e-4, "red": 1e-4, "door": 1e-4, "network": 1e-5, "neural": 1e-7}
PAPER = """
We train a recurrent neural network. Recurrent neural networks are slow.

Our optimiser is stochastic gradient descent (SGD). With SGD the loss falls quickly; stochastic gradient descent is
simple. The method of Kalman is older, and Kalman filters were used in Apollo. The red door is open.
"""


def _log_prob(word: str) -> float:
    return math.log(COMMON[word]) if word in COMMON else -math.inf


def _found(text: str, **options: object) -> dict[str, TermCandidate]:
    return {each.term: each for each in term_candidates(text, _log_prob, **options)}  # type: ignore[arg-type]


def test_repeated_phrases_acronyms_and_names_are_found() -> None:
    """Plural and singular are one, an acronym is an alias of its expansion, capitals inside a sentence make a name."""
    found = _found(PAPER)
    assert found["recurrent neural network"].count == 2
    assert found["stochastic gradient descent"].aliases == ("SGD",)
    assert {"Kalman filters", "Apollo"} <= found.keys()
    assert "SGD" not in found
    assert "red door" not in found


def test_best_comes_first() -> None:
    """Longer, rarer and more frequent phrases have the higher scores; what is only part of them has a low one."""
    ranked = term_candidates(PAPER, _log_prob)
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    terms = [each.term for each in ranked]
    assert terms[0] == "stochastic gradient descent"
    assert "gradient descent" not in terms


def test_stop_words_signs_and_numbers_part_phrases() -> None:
    """No phrase runs over them."""
    found = _found("The zorb of quux, blick; zorb 42 quux. Zorb quux? Zorb quux!")
    assert "zorb quux" in found
    assert not any(" of " in term or "," in term for term in found)


def test_known_terms_are_left_out_and_their_number_is_bounded() -> None:
    """What the glossary has needs no second look."""
    assert "recurrent neural network" not in _found(PAPER, known=["recurrent neural network"])
    assert len(term_candidates(PAPER, _log_prob, most=2)) == 2


def test_words_that_end_no_phrase() -> None:
    """Adverbs and adjectives at the end are cut, adverbs at the start too."""
    found = _found("The quickly zorbed flimflam beautiful. The quickly zorbed flimflam beautiful.")
    assert not any(term.endswith("beautiful") or term.startswith("quickly") for term in found)


def test_addresses_code_and_references_are_passed_over() -> None:
    """Nobody says them."""
    text = f"{PAPER} See https://zorb.example/quux and MAX_BLICK, or mail flim@flam.example.\n7 References\nZorbius, Z."
    assert not {"zorb", "quux", "MAX_BLICK", "flim", "Zorbius"} & _found(text).keys()
    assert without_references("Contents\nReferences\n" + PAPER) == "Contents\nReferences\n" + PAPER


def test_context_is_one_line_of_whole_words() -> None:
    """Where the phrase stands first."""
    (found,) = (each for each in term_candidates(PAPER, _log_prob) if each.term == "Apollo")
    assert "used in Apollo" in found.context
    assert "\n" not in found.context


@pytest.mark.parametrize("text", ["", "\n\n", "42 + 42", "the of and", "a b c"])
def test_text_without_terms(text: str) -> None:
    """Nothing is made up."""
    assert term_candidates(text, _log_prob) == []


@given(st.text("ab C.,-’()\n1", max_size=80))
@example("C1 ’C1")
def test_any_text_gives_candidates_that_stand_in_it(text: str) -> None:
    """Each candidate is written in the text, counted at least once, with a score above 0."""
    squeezed = " ".join(text.lower().split())
    for each in term_candidates(text, _log_prob):
        assert " ".join(each.term.lower().split()) in squeezed
        assert each.count >= 1
        assert each.score > 0
