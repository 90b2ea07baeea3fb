"""What is said of a glossary that was read: on standard error to who sits there, or in the log of a server."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from app.notes import counted, note
from index_builder.formats import GlossaryWarning, RejectedRow
from index_builder.report import IndexReport, by_importance

SHOWN_WARNINGS = 3
TellReport: TypeAlias = Callable[[IndexReport, Path], None]
"""Says what a user would otherwise miss in the hints of a file."""
logger = logging.getLogger(__name__)


def tell_report(report: IndexReport, path: Path) -> None:
    """Say on standard error what a user would otherwise miss in the hints."""
    note_rejected(path, report.rejected, report.rows)
    for warning in by_importance(report.warnings)[:SHOWN_WARNINGS]:
        note(f"warning: {_written(warning)}")
    if len(report.warnings) > SHOWN_WARNINGS:
        note(f"and {len(report.warnings) - SHOWN_WARNINGS} more: termcue reindex {path} --check")
    if not report.target_langs:
        note(f"this glossary has no translations: {path}")


def report_logger(*, log_terms: bool) -> TellReport:
    """The same as events of the log; what quotes the glossary is left out unless terms may be logged."""

    def tell(report: IndexReport, path: Path) -> None:
        names = {"glossary": report.id, "file": str(path)}
        if report.rejected:
            first = f"; the first is {_first(report.rejected)}" if log_terms else ""
            _log(report, path, names, f"{_unused(report.rejected, report.rows)} are not used{first}")
        if report.warnings:
            kinds = Counter(warning.kind for warning in report.warnings)
            weightiest = "".join(f"; {_written(each)}" for each in by_importance(report.warnings)[:SHOWN_WARNINGS])
            said = f"{counted(len(report.warnings), 'warning')}{weightiest if log_terms else ''}"
            _log(report, path, names | {"warnings": dict(kinds)}, said)
        if not report.target_langs:
            logger.warning("%s: it has no translations", report.id, extra=names)

    return tell


def note_rejected(path: Path, rejected: Sequence[RejectedRow], rows: int) -> None:
    """Say on standard error how many rows of a file are not used, and why the first is not."""
    if rejected:
        note(
            f"{_unused(rejected, rows)} of {path} are not used; the first is {_first(rejected)}; all of them: "
            f"termcue reindex {path} --check"
        )


def _log(report: IndexReport, path: Path, fields: Mapping[str, object], said: str) -> None:
    counts = {"rows": report.rows, "rejected": len(report.rejected)}
    logger.warning("%s: %s; all of them: termcue reindex %s --check", report.id, said, path, extra={**fields, **counts})


def _written(warning: GlossaryWarning) -> str:
    return f"{f'{warning.entry}: ' if warning.entry else ''}{warning.message}"


def _unused(rejected: Sequence[RejectedRow], rows: int) -> str:
    return f"{len(rejected)} of {counted(rows, 'row')}"


def _first(rejected: Sequence[RejectedRow]) -> str:
    first = rejected[0]
    return f"{first.file} line {first.line}: {first.value!r}: {first.reason}"
