"""Our own tables: their columns, and the apostrophe that keeps a spreadsheet from computing what stands in a cell.

A cell that begins with "=", "+", "-", "@", a tab or their full-width forms is a formula to a spreadsheet that opens a
CSV file (OWASP, "CSV Injection"). Only CSV with our own header is read back with that apostrophe removed.
"""

import re
from collections.abc import Sequence

OWN_COLUMNS = (
    "id",
    "term",
    "source_lang",
    "aliases",
    "pronunciations",
    "domain",
    "note",
    "do_not_hint",
    "minimum_probability",
)
"""The columns that every table of ours begins with; translations follow."""
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def is_own_header(cells: Sequence[str]) -> bool:
    """Whether a header is one that our exporters write."""
    return tuple(cells[: len(OWN_COLUMNS)]) == OWN_COLUMNS


def guard(cell: str) -> str:
    """A cell that no spreadsheet computes."""
    return "'" + cell if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """The reverse of `guard`, without outer blanks."""
    value = cell.strip()
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value
