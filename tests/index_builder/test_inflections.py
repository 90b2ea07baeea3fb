"""What is done to the last word of a term, and to hyphened prefixes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.inflections import inflected, is_name, plural_of, without_hyphen


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("gradient", "gradients"),
        ("country", "countries"),
        ("survey", "surveys"),
        ("box", "boxes"),
        ("church", "churches"),
        ("loss", "losses"),
        ("bus", "buses"),
        ("analysis", "analyses"),
        ("matrix", "matrices"),
        ("woman", "women"),
        ("clergyman", "clergymen"),
        ("human", "humans"),
        ("leaf", "leaves"),
        ("proof", "proofs"),
        ("photo", "photos"),
        ("hero", "heroes"),
    ],
)
def test_plural(noun: str, plural: str) -> None:
    """Regular endings by spelling, irregular ones by heart."""
    assert plural_of(noun) == plural


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("young man", [("young men", "plural"), ("young man's", "possessive")]),
        ("kalman filter", [("kalman filters", "plural"), ("kalman filter's", "possessive")]),
        ("c n n", [("c n n's", "plural")]),
        ("prudently", []),
        ("cold hearted", []),
        ("selfish", []),
        ("respectable", []),
        ("fellow americans", []),
        ("g p u's", []),
        ("go", []),
    ],
)
def test_inflections_of_a_form(text: str, forms: list[tuple[str, str]]) -> None:
    """The last word is inflected; what is no noun, inflected already or very short is left alone."""
    assert list(inflected(text)) == forms


def test_names_have_a_possessive_only() -> None:
    """Nobody speaks of several Elinors, but of Elinor's sister."""
    assert list(inflected("john dashwood", is_name=True)) == [("john dashwood's", "possessive")]
    assert list(inflected("m i t", is_name=True)) == [("m i t's", "possessive")]


@pytest.mark.parametrize(
    ("written", "name"),
    [("John Dashwood", True), ("Elinor", True), ("young man", False), ("NASA", False), ("Kalman filter", False)],
)
def test_is_name(written: str, name: bool) -> None:
    """Capitals tell names, acronyms apart."""
    assert is_name(written) is name


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        ("E-mail", "Email"),
        ("pre-training loss", "pretraining loss"),
        ("semi-supervised", "semisupervised"),
        ("cold-hearted", ""),
        ("ill-disposed", ""),
        ("John-Paul", ""),
        ("plain", ""),
    ],
)
def test_hyphened_prefixes_are_joined(written: str, joined: str) -> None:
    """Only prefixes that are also written without a hyphen."""
    assert without_hyphen(written) == joined


@given(st.from_regex(r"[a-z']{1,9}( [a-z']{1,9}){0,2}", fullmatch=True), st.booleans())
def test_inflections_are_other_words_of_the_alphabet(text: str, name: bool) -> None:
    """Whatever the form: at most two, both distinct from it, same number of words."""
    forms = [form for form, _ in inflected(text, is_name=name)]
    assert len({text, *forms}) == 1 + len(forms) <= 3
    for form in forms:
        assert re.fullmatch(r"[a-z' ]+", form)
        assert form.count(" ") == text.count(" ")
