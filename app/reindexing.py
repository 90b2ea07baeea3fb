"""What `termcue reindex` does with a glossary that has been read: review, report, page."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from app.glossaries import build_with, checked_report
from app.linting import linted
from app.notes import counted, note
from app.places import Places
from app.self_testing import self_test
from app.wiring import load_model
from index_builder.formats import GlossaryFile, shorten
from index_builder.glossary import Glossary
from index_builder.lint_page import lint_page
from index_builder.report import IndexReport, summed_up
from index_builder.self_test import SelfTest
from streaming.durable import replace_file
from streaming.errors import GlossaryError
from streaming.model_folder import ModelFolder
from streaming.providers import Provider
from streaming.term_index import TermIndex

SHOWN_MISSED = 10


@dataclass(frozen=True, slots=True)
class Review:
    """Finds out about an index what its report should tell: the lint, and where entries are to be said, the self-test.

    `self_test_entries` is 0 for no self-test.
    """

    glossary: Glossary
    folder: ModelFolder
    provider: Provider
    self_test_entries: int = 0

    def __call__(self, index: TermIndex, report: IndexReport) -> IndexReport:
        """The report with findings and self-test. Raises SynthesisError where the entries cannot be spoken."""
        found = linted(report, self.glossary, self.folder, index)
        if not self.self_test_entries:
            return found
        outcome = self_test(load_model(self.folder, self.provider), index, self.self_test_entries)
        return replace(found, self_test=outcome)


def checked(review: Review, files: Sequence[GlossaryFile], places: Places, started: float) -> IndexReport:
    """The report of a glossary that is not published; it is built only where it must be listened with.

    Args:
        review: with the glossary.
        files: that it was read from.
        places: where what is computed of forms is kept.
        started: when its reading began, by `time.monotonic`.
    """
    if review.self_test_entries:
        index, built = build_with(review.glossary, files, review.folder, "check", places, review.provider)
        report = replace(review(index, built), version="")
    else:
        read = checked_report(review.glossary, 0.0)
        report = linted(read, review.glossary, review.folder, None, review.provider)
    return replace(report, seconds=round(time.monotonic() - started, 3))


def write_page(path: Path, report: IndexReport, glossary: Glossary) -> None:
    """Write the report as a page. Raises GlossaryError where the disk refuses."""
    try:
        replace_file(path, lint_page(report, glossary).encode())
    except OSError as error:
        raise GlossaryError(
            f"cannot write the page {path}: {error.strerror or error}; name a file in a folder that is there"
        ) from error
    note(f"the report is in {path}")


def print_report(report: IndexReport, glossary: Glossary, *, as_json: bool) -> None:
    """Print a report of a glossary, on one line of JSON or for a human."""
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
        return
    for reading in report.readings:
        click.echo(f"read      {reading}")
    for row in report.rejected:
        click.echo(f"rejected  {row.file} line {row.line}: {row.value!r}: {row.reason}")
    for warning in summed_up(report.warnings):
        click.echo(f"warning   {f'{warning.entry}: ' if warning.entry else ''}{warning.message}")
    if report.self_test is not None:
        _print_self_test(report.self_test, {each.entry.entry_id: each.entry.term for each in glossary.entries})
    click.echo(
        f"{counted(report.rows, 'row')}: {counted(report.entries, 'entry', 'entries')} "
        f"({counted(report.forms, 'spoken form')}), {report.merged} merged, "
        f"{len(report.rejected)} rejected; {report.seconds:.1f} s"
    )


def _print_self_test(test: SelfTest, terms: Mapping[str, str]) -> None:
    """The entries that were missed most, and the sums; `terms` by entry id."""

    def called(entry_id: str) -> str:
        return f"{shorten(terms.get(entry_id, ''))!r} ({entry_id})"

    missed = sorted((e for e in test.entries if e.heard < e.tries), key=lambda e: e.heard / e.tries)
    for each in missed[:SHOWN_MISSED]:
        instead = f", {', '.join(map(called, each.mistaken_for))} instead" if each.mistaken_for else ""
        click.echo(f"missed    {called(each.entry_id)}: heard {each.heard} of {counted(each.tries, 'time')}{instead}")
    if len(missed) > SHOWN_MISSED:
        click.echo(f"missed    and {len(missed) - SHOWN_MISSED} more; all of them: --json")
    riskiest = max(test.entries, key=lambda each: each.false_hints_per_hour)
    click.echo(
        f"self-test {len(test.entries)} of {counted(test.glossary_entries, 'entry', 'entries')}, {test.recall:.0%} of "
        f"{test.tries} utterances heard, {counted(test.false_hints, 'false hint')} in {test.seconds / 60:.1f} minutes; "
        f"of the {test.false_hints_per_hour:g} an hour of the profile {test.profile}, most are expected of "
        f"{called(riskiest.entry_id)}: {riskiest.false_hints_per_hour:.2f}"
    )
