"""XLSX workbooks -> tables: each visible sheet is read, merged cells count for all their rows, formulas by value.

calamine parses, ten times as fast as openpyxl and with the ranges of merged cells; it gets only what
`workbook_parts` found harmless.
"""

import datetime
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from index_builder.formats.chosen_columns import Columns
from index_builder.formats.languages import Languages
from index_builder.formats.rows import GlossaryWarning, ParsedGlossary, shorten
from index_builder.formats.sheet_bounds import MAX_CELLS
from index_builder.formats.source import GlossaryFile
from index_builder.formats.table import Record, Table, parse_tables
from index_builder.formats.workbook_parts import sound_workbook
from streaming.errors import GlossaryError

_Value: TypeAlias = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta
_Corners: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""First and last cell of a merged range, each as row and column from 0."""
# More digits than a spreadsheet shows are noise of binary fractions.
_DIGITS = 15


def parse_workbook(file: GlossaryFile, languages: Languages, columns: Columns) -> ParsedGlossary:
    """Read all visible sheets of a workbook.

    Raises:
        GlossaryError: it cannot be read safely, holds nothing, or has no column of terms.
    """
    name = file.path.name
    sound = sound_workbook(file)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(sound.content))
        shown = [place for place, sheet in enumerate(book.sheets_metadata) if _is_shown(sheet.visible, sheet.typ)]
        sheets = [book.get_sheet_by_index(place) for place in shown]
        tables = [table for sheet in sheets if (table := _table(sheet, name)).records]
    except CalamineError as cause:
        raise GlossaryError(
            f"{name} cannot be read as XLSX: {type(cause).__name__} {cause}; save it as XLSX once more"
        ) from cause
    hidden = [sheet.name for sheet in book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible]
    if not tables:
        aside = f"; hidden sheets are not read: {', '.join(map(shorten, hidden))}" if hidden else ""
        raise GlossaryError(f"{name} has no visible sheet with anything in it{aside}; put one term in each row")
    parsed = parse_tables(name, tables, languages, columns)
    warnings = (*_warnings(name, hidden, sound.valueless_cells), *parsed.warnings)
    reading = f"an XLSX workbook, {len(tables)} sheet{'' if len(tables) == 1 else 's'}"
    return replace(parsed, warnings=warnings, reading=reading)


def _is_shown(visible: SheetVisibleEnum, kind: SheetTypeEnum) -> bool:
    return visible == SheetVisibleEnum.Visible and kind == SheetTypeEnum.WorkSheet


def _warnings(name: str, hidden: Sequence[str], valueless_cells: int) -> Iterable[GlossaryWarning]:
    if hidden:
        names = ", ".join(repr(shorten(each)) for each in hidden)
        yield GlossaryWarning("", "hidden_sheet", f"{name}: hidden sheets are not read: {names}; unhide what you need")
    if valueless_cells:
        message = (
            f"{name}: {valueless_cells} formulas have no stored value or an error, and count as empty; correct them, "
            f"and save the file in a spreadsheet program"
        )
        yield GlossaryWarning("", "formula", message)


def _table(sheet: CalamineSheet, name: str) -> Table:
    """The records of a sheet, columns counted from A."""
    first_row, first_column = sheet.start or (0, 0)
    margin = [""] * first_column
    grid = [[*margin, *map(_text, cells)] for cells in sheet.to_python()]
    headings = _spread(grid, sheet.merged_cell_ranges or (), first_row, name)
    records: list[Record] = [
        (first_row + index + 1, cells) for index, cells in enumerate(grid) if any(cell.strip() for cell in cells)
    ]
    return Table(f"{name}, sheet {shorten(sheet.name)!r}", records, headings)


def _spread(grid: list[list[str]], merged: Iterable[_Corners], first_row: int, name: str) -> frozenset[int]:
    """Copy the value of a merged range down its first column, into rows that hold something else.

    Only downwards: a term that reaches over two columns is not its own translation. Returns the lines in which one cell
    merged over several columns is all there is: headings of what follows.
    """
    headings: set[int] = set()
    copied = 0
    for (top, left), (bottom, right) in merged:
        rows = range(max(top - first_row, 0), min(bottom - first_row + 1, len(grid)))
        copied += len(rows)
        if copied > MAX_CELLS:
            raise GlossaryError(f"{name} has merged cells over more than {MAX_CELLS} rows; split the glossary")
        if top < first_row or not rows or left >= len(grid[rows[0]]):
            continue
        value = grid[rows[0]][left]
        if right > left and value.strip() and sum(bool(cell.strip()) for cell in grid[rows[0]]) == 1:
            headings.add(top + 1)
        for row in rows[1:]:
            if any(cell.strip() for cell in grid[row]):
                grid[row][left] = value
    return frozenset(headings)


def _text(value: _Value) -> str:
    """A cell as a spreadsheet shows it, without its format."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**_DIGITS else f"{value:.{_DIGITS}g}"
    return str(value)
