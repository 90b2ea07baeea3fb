"""Pronunciations and statistics of whole forms come back from the cache as they were, or are made anew."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.pronounce import SpokenForm
from index_builder.said_forms import SaidForms
from index_builder.testing import LetterPronouncer
from index_builder.vector_cache import form_cache, key_of
from streaming.entries import arpabet
from streaming.term_index import Form


def _lengths(forms: Sequence[Form]) -> NDArray[np.float32]:
    return np.array([[len(f.text), len(f.pronunciations), len(f.characters), 0.5] for f in forms], np.float32)


def _made(folder: Path, forms: Sequence[SpokenForm]) -> tuple[list[tuple[str, list[str]]], list[list[float]], int]:
    """Texts with pronunciations, statistics, and how many words were asked for."""
    pronouncer = LetterPronouncer()
    with form_cache(folder, "e") as cache:
        said = SaidForms(list(enumerate(forms)), pronouncer, cache, lambda _: None)
        made, statistics = said.measured([True] * len(forms), _lengths)
    texts = [(form.text, [arpabet(ids) for ids in form.pronunciations]) for form in made]
    return texts, statistics.tolist(), len(pronouncer.asked)


def test_known_forms_are_those_that_were_made(tmp_path: Path) -> None:
    """No word is asked for a second time; a form without a pronunciation is remembered too."""
    forms = [SpokenForm("ion beam"), SpokenForm("'"), SpokenForm("ion", ((("IY", "AH"),), (("AY",),)), "alias", "Ion")]
    first, again = _made(tmp_path, forms), _made(tmp_path, forms)
    assert again[:2] == first[:2]
    assert (first[2], again[2]) == (3, 0)
    assert [len(ways) for _, ways in first[0]] == [1, 0, 2]


def test_what_the_author_says_tells_forms_apart(tmp_path: Path) -> None:
    """The same text with another pronunciation is another form."""
    by_rule, given_one = SpokenForm("ion"), SpokenForm("ion", ((("IY", "AH"),),))
    first = _made(tmp_path, [by_rule])[0]
    assert _made(tmp_path, [given_one])[0] == [("ion", ["IY AH"])] != first
    assert _made(tmp_path, [by_rule])[0] == first


def test_forms_that_do_not_stay_are_not_measured(tmp_path: Path) -> None:
    """Nor kept: what is known of a form is whole."""
    forms = [(0, SpokenForm("ion")), (1, SpokenForm("beam"))]
    with form_cache(tmp_path, "e") as cache:
        made, statistics = SaidForms(forms, LetterPronouncer(), cache, lambda _: None).measured([False, True], _lengths)
    assert [form.text for form in made] == ["beam"]
    assert statistics.shape == (1, 4)
    assert _made(tmp_path, [SpokenForm("ion"), SpokenForm("beam")])[1] == [[3, 1, 5, 0.5], [4, 1, 6, 0.5]]


def test_ways_are_symbols_word_by_word() -> None:
    """As they were given; without a cache too."""
    way = (("AY", "AH", "N"), ("B", "IY", "M"))
    said = SaidForms([(0, SpokenForm("ion beam", (way,)))], LetterPronouncer(), None, lambda _: None)
    assert said.ways(0) == [way]


@pytest.mark.parametrize("value", [b"", bytes(15), bytes(18), bytes(16) + b"ih aa n", bytes(16) + b"IH\xc3\x84"])
def test_row_that_is_none_of_ours_is_made_anew(tmp_path: Path, value: bytes) -> None:
    """Too short, or with other signs than ARPAbet has behind the statistics."""
    with form_cache(tmp_path, "e") as cache:
        cache.keep("said", [(key_of("ion"), value)])
    assert _made(tmp_path, [SpokenForm("ion")]) == ([("ion", ["IH AA N"])], [[3, 1, 5, 0.5]], 1)


def test_damaged_row_is_made_anew(tmp_path: Path) -> None:
    """One letter of a pronunciation is another word."""
    first = _made(tmp_path, [SpokenForm("ion")])
    (path,) = tmp_path.glob("*.sqlite")
    with sqlite3.connect(path) as connection:
        (content,) = connection.execute("SELECT content FROM blocks WHERE kind = 'said'").fetchone()
        changed = content.replace(b"IH AA", b"IY AA")
        assert changed != content
        connection.execute("UPDATE blocks SET content = ? WHERE kind = 'said'", (changed,))
    connection.close()
    assert _made(tmp_path, [SpokenForm("ion")])[:2] == first[:2]
