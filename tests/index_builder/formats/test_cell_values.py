"""What stands in one cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.formats.cell_values import (
    join_list,
    join_pronunciations,
    probability,
    split_list,
    split_pronunciations,
    yes_or_no,
)
from index_builder.formats.formula_guard import guard, unguard

_VALUE = st.text(st.sampled_from("ab,;|/[]\"'\\ =-"), min_size=1, max_size=8).map(str.strip).filter(bool)
_VALUES = st.lists(_VALUE | st.text(min_size=1).map(str.strip).filter(bool), max_size=5).map(tuple)


@given(_VALUES)
def test_lists_survive_their_cell(values: tuple[str, ...]) -> None:
    """Whatever separators stand in the values."""
    assert split_list(join_list(values)) == values
    assert split_pronunciations(join_pronunciations(values)) == values


@pytest.mark.parametrize(
    ("values", "cell"),
    [((), ""), (("a", "b"), "a; b"), (("Paris, Texas",), "Paris, Texas;"), (("a;b", "c"), '["a;b", "c"]')],
)
def test_lists_are_written_for_people(values: tuple[str, ...], cell: str) -> None:
    """JSON only where nothing plainer comes back."""
    assert join_list(values) == cell


@pytest.mark.parametrize("cell", ["[x]", "[1, 2]", "[" * 5000 + "]" * 5000, '{"a": 1}', "[]x]"])
def test_brackets_that_are_no_list_of_texts_stay(cell: str) -> None:
    """A foreign cell may well begin and end with brackets."""
    assert "".join(split_list(cell)).replace(" ", "") == cell.replace(" ", "").replace(",", "")


@given(st.text(max_size=10) | st.text(st.sampled_from("'=+-@a ")))
def test_guarded_cells_come_back_and_are_no_formula(cell: str) -> None:
    """The apostrophe is added before a formula and before what would be mistaken for a guarded one."""
    assert unguard(guard(cell.strip())) == cell.strip()
    assert guard(cell)[:1] not in {*"=+-@\t＝＋－＠"}


@given(st.floats(0, 1))
def test_any_probability_comes_back(value: float) -> None:
    """As the shortest text that reads as the same number."""
    assert probability(repr(value)) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [("0,35", 0.35), ("35 %", 0.35), ("100%", 1.0), (" 1 ", 1.0)]
    + [(cell, None) for cell in ("", "%", "1.01", "-0", "nan", "inf", "1e999", "0x1", "one", "1_0", ".5", "٣")],
)
def test_probabilities(cell: str, value: float | None) -> None:
    """Points, commas and percentages; anything else is none."""
    assert probability(cell) == value


@pytest.mark.parametrize(
    ("cell", "said"),
    [("", False), ("Yes", True), ("x", True), ("JA", True), ("true", True), ("0", False), ("nein", False), ("?", None)],
)
def test_yes_or_no(cell: str, said: bool | None) -> None:
    """In several languages; an empty cell says no."""
    assert yes_or_no(cell) is said
