"""Entries as records of text cells, the same for every kind of table."""

from collections.abc import Iterator, Sequence

from index_builder.formats.cell_values import join_list, join_pronunciations
from index_builder.formats.formula_guard import OWN_COLUMNS
from streaming.entries import Entry
from streaming.errors import GlossaryError


def records(entries: Sequence[Entry]) -> Iterator[list[str]]:
    """The header, then each entry; a column for each language that any entry is translated into."""
    codes = sorted({code for entry in entries for code in entry.translations})
    yield [*OWN_COLUMNS, *(f"translation:{code}" if code else "translation" for code in codes)]
    for entry in entries:
        yield [*_fields(entry), *(entry.translations.get(code, "") for code in codes)]


def check_cells(entry_record: Sequence[str], longest: int, kind: str) -> None:
    """Refuse what a format would cut or drop.

    Raises:
        GlossaryError: a cell is longer than the format's `longest`.
    """
    for cell in entry_record:
        if len(cell) > longest:
            raise GlossaryError(
                f"the entry {entry_record[0]!r} has a text of {len(cell)} characters, and a cell of {kind} holds "
                f"{longest}; export as jsonl"
            )


def _fields(entry: Entry) -> tuple[str, ...]:
    """The cells in the order of `OWN_COLUMNS`."""
    return (
        entry.entry_id,
        entry.term,
        entry.source_lang,
        join_list(entry.aliases),
        join_pronunciations(entry.pronunciations),
        entry.domain,
        entry.note,
        "yes" if entry.do_not_hint else "",
        # The shortest text that reads as the same number.
        repr(entry.minimum_probability) if entry.minimum_probability else "",
    )
