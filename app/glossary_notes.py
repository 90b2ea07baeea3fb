"""What is said on standard error of a glossary that was read."""

from collections.abc import Sequence
from pathlib import Path

from app.notes import counted, note
from index_builder.formats import RejectedRow
from index_builder.report import IndexReport, by_importance

SHOWN_WARNINGS = 3


def tell_report(report: IndexReport, path: Path) -> None:
    """Say on standard error what a user would otherwise miss in the hints."""
    note_rejected(path, report.rejected, report.rows)
    for warning in by_importance(report.warnings)[:SHOWN_WARNINGS]:
        note(f"warning: {f'{warning.entry}: ' if warning.entry else ''}{warning.message}")
    if len(report.warnings) > SHOWN_WARNINGS:
        note(f"and {len(report.warnings) - SHOWN_WARNINGS} more: termcue reindex {path} --check")
    if not report.target_langs:
        note(f"this glossary has no translations: {path}")


def note_rejected(path: Path, rejected: Sequence[RejectedRow], rows: int) -> None:
    """Say on standard error how many rows of a file are not used, and why the first is not."""
    if rejected:
        first = rejected[0]
        note(
            f"{len(rejected)} of {counted(rows, 'row')} of {path} are not used; the first is {first.file} line "
            f"{first.line}: {first.value!r}: {first.reason}; all of them: termcue reindex {path} --check"
        )
