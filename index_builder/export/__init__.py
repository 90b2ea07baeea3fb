"""Entries -> a glossary file that other programs open, and that comes back as the same entries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from index_builder.export.delimited import export_csv
from index_builder.export.json_lines import export_json_lines
from index_builder.export.tbx import export_tbx
from index_builder.export.workbook import export_workbook
from streaming.entries import Entry

__all__ = ["EXPORT_KINDS", "ExportKind", "export"]

ExportKind: TypeAlias = Literal["csv", "xlsx", "tbx", "jsonl"]
EXPORT_KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
"""What can be written; each is the suffix of such a file too."""
_EXPORTERS: Mapping[ExportKind, Callable[[Sequence[Entry]], bytes]] = {
    "csv": export_csv,
    "xlsx": export_workbook,
    "tbx": export_tbx,
    "jsonl": export_json_lines,
}


def export(entries: Sequence[Entry], kind: ExportKind) -> bytes:
    """Write entries as a file; the same entries give the same bytes.

    `index_builder.formats.parse_glossary` reads every field of every entry back.

    Args:
        entries: of one glossary, with texts as `index_builder.glossary.clean` leaves them.
        kind: `csv` (UTF-8 with a byte order mark, for Excel), `xlsx`, `tbx` (version 3) or `jsonl`.

    Raises:
        GlossaryError: an entry does not fit the format; names the entry and a format that takes it.
    """
    return _EXPORTERS[kind](entries)
