"""Columns that the user chose."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats.chosen_columns import Columns
from index_builder.formats.columns import Column
from index_builder.formats.languages import Languages
from streaming.errors import GlossaryError

_CELLS = ["Nr", "Wort", "Deutsch", "B", "a, b"]
_LANGUAGES = Languages("en", "fr")


def _chosen(source: str, target: str) -> list[Column | None]:
    return Columns(source, target).apply([None, None, Column("translation", "de")], _CELLS, _LANGUAGES, "g.csv")


@pytest.mark.parametrize(
    ("source", "place"), [("wort", 1), (" WORT ", 1), ("2", 1), ("C", 2), ("c", 2), ("B", 3), ("a, b", 4)]
)
def test_a_heading_counts_before_a_letter(source: str, place: int) -> None:
    """Headings in any case, then letters, then numbers from 1."""
    assert _chosen(source, "")[place] == Column("term")


@pytest.mark.parametrize(
    ("target", "languages"),
    [
        ("Deutsch", {2: "de"}),
        ("Wort", {1: "fr"}),
        ("Wort=pl", {1: "pl"}),
        ("3, 1=Polish", {2: "de", 0: "pl"}),
        ("a, b", {4: "fr"}),
        ("", {2: "de"}),
    ],
)
def test_languages_of_chosen_translations(target: str, languages: dict[int, str]) -> None:
    """As given, else as the heading says, else the target language; other translations are left out."""
    columns = _chosen("", target)
    assert {place: column.language for place, column in enumerate(columns) if column is not None} == languages


@pytest.mark.parametrize("name", ["0", "6", "F", "ZZZ", "99999999", "Begriff", "²"])
def test_a_column_that_is_not_there_is_refused(name: str) -> None:
    """The headings that there are, and how to name one."""
    with pytest.raises(GlossaryError, match=r"g.csv: there is no column .* among 'Nr', .*; name one by its heading"):
        _chosen(name, "")


@given(st.text(max_size=6), st.text(max_size=6))
def test_any_choice_is_taken_or_refused_in_a_sentence(source: str, target: str) -> None:
    """No text gives a traceback, and no choice changes how many columns there are."""
    with contextlib.suppress(GlossaryError):
        assert len(_chosen(source, target)) == len(_CELLS)
