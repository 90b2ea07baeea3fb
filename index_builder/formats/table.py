"""Records of cells -> rows: the header is found, or the columns are taken by their place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from index_builder.formats.cell_values import split_list, split_pronunciations
from index_builder.formats.chosen_columns import Columns
from index_builder.formats.columns import Column, columns_of, is_header
from index_builder.formats.formula_guard import is_own_header, unguard
from index_builder.formats.languages import Languages
from index_builder.formats.row_draft import RowDraft
from index_builder.formats.rows import GlossaryRow, GlossaryWarning, ParsedGlossary, Place, RejectedRow, reject
from index_builder.formats.table_warnings import header_warnings, lost_cells, no_heading_warning, title_warning
from streaming.errors import GlossaryError

TITLE_LINES = 10
"""So many titles of one cell may stand above a header."""
Record: TypeAlias = tuple[int, Sequence[str]]
"""A line, from 1, and its cells."""


@dataclass(frozen=True, slots=True)
class Table:
    """The records of a file, or of one sheet of it, without blank ones.

    `file` names it in messages; `headings` are the lines of titles over a group of rows, which are no entries;
    `may_be_guarded`: where the header is ours, cells have the apostrophe that `formula_guard` describes.
    """

    file: str
    records: Sequence[Record]
    headings: frozenset[int] = frozenset()
    may_be_guarded: bool = False


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the header stands among the records (None: there is none), and its cells (or those of the first row)."""

    index: int | None
    cells: Sequence[str]


def parse_tables(name: str, tables: Sequence[Table], languages: Languages, columns: Columns) -> ParsedGlossary:
    """Read the tables of one file. Where some have a header, the rows of those without one are rejected.

    Raises:
        GlossaryError: no table has a column of terms.
    """
    headers = [_header(table, languages, columns) for table in tables]
    some_header = any(header.index is not None for header in headers)
    rows: list[GlossaryRow] = []
    rejected: list[RejectedRow] = []
    warnings: list[GlossaryWarning] = []
    failure: GlossaryError | None = None
    for table, header in zip(tables, headers, strict=True):
        if some_header and header.index is None:
            reason = "its sheet has no header while others have one; write one into its first row, or remove the sheet"
            rejected += _reject_all(table, 0, reason)
            continue
        try:
            meanings = _meanings(table, header, languages, columns)
        except GlossaryError as cause:
            failure = failure or cause
            rejected += _reject_all(table, (header.index or 0) + 1, "its sheet has no column of terms")
            continue
        warnings += _warnings(table, header, meanings, columns)
        for outcome in _rows(table, header, meanings, warnings):
            if isinstance(outcome, GlossaryRow):
                rows.append(outcome)
            else:
                rejected.append(outcome)
    if failure is not None and not rows:
        raise failure
    return ParsedGlossary(name, tuple(rows), (), tuple(rejected), tuple(warnings))


def _header(table: Table, languages: Languages, columns: Columns) -> _Header:
    """The first row if it names columns, or one of several columns after titles of one cell each."""
    for index, (_, cells) in enumerate(table.records[:TITLE_LINES]):
        several = _count(cells) > 1
        if (index == 0 or several) and (columns.named_in(cells) or is_header(cells, languages)):
            return _Header(index, cells)
        if several:
            break
    width = max((len(cells) for _, cells in table.records), default=0)
    first = [*table.records[0][1]] if table.records else []
    return _Header(None, [*first, *[""] * (width - len(first))])


def _meanings(table: Table, header: _Header, languages: Languages, columns: Columns) -> list[Column | None]:
    if header.index is None:
        by_place = [*[None] * _left_margin(table), Column("term"), Column("translation", languages.target)]
        return columns.apply(by_place, header.cells, languages, table.file) if columns else by_place
    found = columns_of(header.cells, languages)
    if columns:
        found = columns.apply(found, header.cells, languages, table.file)
    if not any(column is not None and column.role == "term" for column in found):
        line = table.records[header.index][0]
        raise GlossaryError(
            f"{table.file}, line {line}: no column of {list(header.cells)} holds the terms; name one of them term, "
            f"source or {languages.source}, or choose it with --source-col"
        )
    return found


def _left_margin(table: Table) -> int:
    """How many columns before the first are empty."""
    return min((_first(cells) for _, cells in table.records), default=0)


def _first(cells: Sequence[str]) -> int:
    return next(place for place, cell in enumerate(cells) if cell.strip())


def _count(cells: Sequence[str]) -> int:
    """How many cells hold something."""
    return sum(bool(cell.strip()) for cell in cells)


def _warnings(
    table: Table, header: _Header, meanings: Sequence[Column | None], columns: Columns
) -> Iterator[GlossaryWarning]:
    if header.index is None:
        if len(header.cells) > len(meanings) and not columns:
            message = (
                f"{table.file} has no header, so its columns {len(meanings) + 1} to {len(header.cells)} are ignored; "
                f"name them"
            )
            yield GlossaryWarning("", "unknown_column", message)
        if not columns and any(_count(cells) > 1 for _, cells in table.records):
            line, cells = table.records[0]
            yield no_heading_warning(table.file, line, cells[_first(cells)])
        return
    if header.index:
        yield title_warning(table.file, table.records[0][0], header.index)
    # Who chose columns knows that the others are not read.
    if not columns:
        yield from header_warnings(header.cells, meanings, table.file)
    yield from lost_cells(table.records[header.index + 1 :], meanings, table.file)


def _rows(
    table: Table, header: _Header, meanings: Sequence[Column | None], warnings: list[GlossaryWarning]
) -> Iterator[GlossaryRow | RejectedRow]:
    is_guarded = table.may_be_guarded and header.index is not None and is_own_header(header.cells)
    restore = unguard if is_guarded else str.strip
    start = 0 if header.index is None else header.index + 1
    for line, cells in table.records[start:]:
        if line in table.headings:
            yield _reject(table, line, cells, "a heading over several columns is no entry")
            continue
        draft = RowDraft(Place(table.file, line), warnings)
        for cell, column in zip(cells, meanings, strict=False):
            if column is not None and (value := restore(cell)):
                draft.add(column, _values(value, column))
        yield draft.row()


def _values(cell: str, column: Column) -> Sequence[str]:
    if column.role == "aliases":
        return split_list(cell)
    return split_pronunciations(cell) if column.role == "pronunciations" else (cell,)


def _reject_all(table: Table, start: int, reason: str) -> Iterator[RejectedRow]:
    for line, cells in table.records[start:]:
        yield _reject(table, line, cells, reason)


def _reject(table: Table, line: int, cells: Sequence[str], reason: str) -> RejectedRow:
    return reject(Place(table.file, line), cells[_first(cells)], reason)
