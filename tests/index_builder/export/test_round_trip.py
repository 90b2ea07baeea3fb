"""What is exported comes back: every field of every entry, in every format."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index_builder.entry_text import clean, fold, unusable
from index_builder.export import EXPORT_KINDS, ExportKind, export
from index_builder.formats import GlossaryFile, GlossaryRow, Languages, parse_glossary
from index_builder.formats.languages import as_code
from index_builder.glossary import assemble
from streaming.entries import Entry

# Everything that a text can hold once it is cleaned, and often what means something to some format.
_TEXT = (
    st.one_of(st.text(max_size=12), st.text(st.sampled_from("ab'\"=+-@,;|/[]{}<>&#\\_x0041 \t\n＝"), max_size=8))
    .map(clean)
    .filter(bool)
)
_ANY = st.just("") | _TEXT
_CODE = st.sampled_from(["", "de", "en", "en-us", "zh-hant", "id", "no"]) | _TEXT.map(as_code)
_TEXTS = st.lists(_TEXT, max_size=4).map(tuple)
_TERM = st.text(max_size=12).map(clean).filter(lambda text: not unusable(text))


def _entries(terms: st.SearchStrategy[str]) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        entry_id=st.from_regex(r"[A-Za-z0-9:._-]{1,12}", fullmatch=True),
        term=terms,
        translations=st.dictionaries(_CODE, _TEXT, max_size=4),
        aliases=_TEXTS,
        note=_ANY,
        source_lang=_CODE.filter(bool),
        domain=_ANY,
        pronunciations=_TEXTS,
        do_not_hint=st.booleans(),
        minimum_probability=st.floats(0, 1).map(abs),
    )


def _as_row(entry: Entry, row: GlossaryRow) -> Entry:
    """The entry that a row says, field by field."""
    return Entry(
        row.row_id,
        row.term,
        row.translations,
        row.aliases,
        row.note,
        row.source_lang,
        row.domain,
        row.pronunciations,
        row.do_not_hint,
        row.minimum_probability,
    )


def _read(entries: Sequence[Entry], kind: ExportKind) -> Sequence[GlossaryRow]:
    # The name does not tell the format.
    parsed = parse_glossary(GlossaryFile(Path("glossary"), export(entries, kind)), Languages())
    assert parsed.rejected == ()
    assert parsed.warnings == ()
    return parsed.rows


@pytest.mark.parametrize("kind", EXPORT_KINDS)
@settings(max_examples=60, deadline=None)
@given(st.lists(_entries(_TEXT), min_size=1, max_size=4))
@example([Entry("0", "0", {"en": "0", ";": "0"}, source_lang="de")])
def test_every_field_comes_back(kind: ExportKind, entries: list[Entry]) -> None:
    """Whatever characters, separators, quotes, formulas and tags stand in the texts, and whatever languages they are in."""
    rows = _read(entries, kind)
    assert [_as_row(entry, row) for entry, row in zip(entries, rows, strict=True)] == entries


@pytest.mark.parametrize("kind", EXPORT_KINDS)
@settings(max_examples=60, deadline=None)
@given(st.lists(_entries(_TERM), min_size=1, max_size=4, unique_by=(lambda e: e.entry_id, lambda e: fold(e.term))))
def test_a_glossary_comes_back(kind: ExportKind, written: list[Entry]) -> None:
    """What was assembled once is assembled again from its export: ids, order, fields."""
    parsed = parse_glossary(GlossaryFile(Path("g"), export(written, "jsonl")), Languages())
    entries = [each.entry for each in assemble("g", [parsed]).entries]
    again = parse_glossary(GlossaryFile(Path("g"), export(entries, kind)), Languages())
    assert [each.entry for each in assemble("g", [again]).entries] == entries


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_an_empty_glossary_can_be_written(kind: ExportKind) -> None:
    """No entry is no error."""
    assert isinstance(export([], kind), bytes)


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_the_same_entries_give_the_same_bytes(kind: ExportKind) -> None:
    """No clock and no chance is in a file."""
    entries = [Entry("a", "ion", {"de": "Ion", "fr": "ion"})]
    assert export(entries, kind) == export(entries, kind)
