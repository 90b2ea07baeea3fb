"""Entries as an XLSX workbook of one sheet."""

import datetime
import io
from collections.abc import Sequence

import xlsxwriter

from index_builder.export.records import check_cells, records
from streaming.entries import Entry
from streaming.errors import GlossaryError

# What Excel holds (its "specifications and limits"); a longer text would be dropped, further rows too.
_LONGEST_CELL = 32_767
_MAX_ROWS = 1_048_576
# Stands in the file's properties, so that the same entries give the same bytes.
_CREATED = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


def export_workbook(entries: Sequence[Entry]) -> bytes:
    """Write every cell as a text: never as a formula, a link or a number.

    Raises:
        GlossaryError: there are more entries than rows, or a text is too long for a cell.
    """
    if len(entries) >= _MAX_ROWS:
        raise GlossaryError(f"{len(entries)} entries are more than the rows of an XLSX sheet; export as csv")
    written = io.BytesIO()
    book = xlsxwriter.Workbook(written, {"in_memory": True})
    book.set_properties({"created": _CREATED})
    sheet = book.add_worksheet("Glossary")
    sheet.freeze_panes(1, 0)
    for row, record in enumerate(records(entries)):
        check_cells(record, _LONGEST_CELL, "XLSX")
        for column, cell in enumerate(record):
            if cell:
                sheet.write_string(row, column, cell)
    book.close()
    return written.getvalue()
