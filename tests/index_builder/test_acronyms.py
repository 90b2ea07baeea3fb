"""Acronyms and what they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.acronyms import expansions, long_form


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We use stochastic gradient descent (SGD) here.", {"SGD": "stochastic gradient descent"}),
        ("many convolutional neural networks (CNNs) are", {"CNN": "convolutional neural networks"}),
        ("the Hidden Markov Model (HMM)", {"HMM": "Hidden Markov Model"}),
        ("word error rate ( WER )", {"WER": "word error rate"}),
        ("messenger RNA (mRNA)", {}),
        ("heat shock protein 70 (HSP70)", {"HSP70": "heat shock protein 70"}),
        ("as we saw (Fig)", {}),
        ("see the paper (IEEE)", {}),
        ("no parenthesis SGD", {}),
    ],
)
def test_expansions(text: str, found: dict[str, str]) -> None:
    """The words before the parenthesis whose letters make the acronym."""
    assert expansions(text) == found


@pytest.mark.parametrize(
    ("short", "text", "long"),
    [
        ("SGD", "with plain stochastic gradient descent", "stochastic gradient descent"),
        ("TF-IDF", "term frequency inverse document frequency", "term frequency inverse document frequency"),
        ("XY", "nothing of it", ""),
    ],
)
def test_long_form(short: str, text: str, long: str) -> None:
    """Letters are matched from the right; the first one begins a word."""
    assert long_form(short, text) == long


@given(st.text("abAB ()-", max_size=40), st.text("abAB-", min_size=1, max_size=4))
def test_long_form_is_an_end_of_the_text(text: str, short: str) -> None:
    """Whatever the text, and it begins with the acronym's first letter."""
    long = long_form(short, text)
    assert text.rstrip().endswith(long)
    letters = [letter for letter in short.lower() if letter.isalnum()]
    assert not long or not letters or long[0].lower() == letters[0]
