"""Entries as CSV (RFC 4180), safe to open in a spreadsheet."""

import codecs
import csv
import io
from collections.abc import Sequence

from index_builder.export.records import check_cells, records
from index_builder.formats.formula_guard import guard
from streaming.entries import Entry

# The longest that Python's csv module reads back.
_LONGEST_CELL = 131_000


def export_csv(entries: Sequence[Entry]) -> bytes:
    """Write CSV in UTF-8. The byte order mark makes Excel read it as such; formulas are kept from being computed.

    Raises:
        GlossaryError: a text is too long for a cell.
    """
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    for record in records(entries):
        check_cells(record, _LONGEST_CELL, "CSV")
        writer.writerow([guard(cell) for cell in record])
    return codecs.BOM_UTF8 + written.getvalue().encode()
