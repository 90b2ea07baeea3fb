"""The report of a glossary as it is printed: lines for a human, or one line of JSON."""

import json
from collections.abc import Mapping

import click

from app.notes import counted
from index_builder.formats import shorten
from index_builder.report import IndexReport, summed_up
from index_builder.self_test import SelfTest

SHOWN_OF_SELF_TEST = 10


def print_report(
    report: IndexReport, terms: Mapping[str, str], *, as_json: bool, more: Mapping[str, object] | None = None
) -> None:
    """Print a report.

    Args:
        report: of a glossary.
        terms: by entry id, for the self-test.
        as_json: on one line, else rejected rows, warnings, the self-test and the sums for a human.
        more: what else is told in JSON.
    """
    if as_json:
        click.echo(json.dumps({**report.as_dict(), **(more or {})}, ensure_ascii=False))
        return
    for reading in report.readings:
        click.echo(f"read      {reading}")
    for row in report.rejected:
        click.echo(f"rejected  {row.file} line {row.line}: {row.value!r}: {row.reason}")
    for warning in summed_up(report.warnings):
        click.echo(f"warning   {f'{warning.entry}: ' if warning.entry else ''}{warning.message}")
    if report.self_test is not None:
        _print_self_test(report.self_test, terms)
    click.echo(
        f"{counted(report.rows, 'row')}: {counted(report.entries, 'entry', 'entries')} "
        f"({counted(report.forms, 'spoken form')}), {report.merged} merged, "
        f"{len(report.rejected)} rejected; {report.seconds:.1f} s"
    )


def _print_self_test(test: SelfTest, terms: Mapping[str, str]) -> None:
    """The entries that were missed most, those that were hinted wrongly most, and the sums."""

    def called(entry_id: str) -> str:
        return f"{shorten(terms.get(entry_id, ''))!r} ({entry_id})"

    missed = sorted((e for e in test.entries if e.heard < e.tries), key=lambda e: e.heard / e.tries)
    for each in missed[:SHOWN_OF_SELF_TEST]:
        instead = f", {', '.join(map(called, each.mistaken_for))} instead" if each.mistaken_for else ""
        click.echo(f"missed    {called(each.entry_id)}: heard {each.heard} of {counted(each.tries, 'time')}{instead}")
    _print_more("missed", len(missed))
    wrong = test.wrongly_hinted
    for entry_id, times in list(wrong.items())[:SHOWN_OF_SELF_TEST]:
        click.echo(f"false     {called(entry_id)}: hinted {counted(times, 'time')} where another entry was said")
    _print_more("false", len(wrong))
    riskiest = max(test.entries, key=lambda each: each.false_hints_per_hour)
    is_whole = len(test.entries) == test.glossary_entries
    said = f"{'all ' if is_whole else f'{len(test.entries)} of '}{counted(test.glossary_entries, 'entry', 'entries')}"
    click.echo(
        f"self-test {said}, {test.recall:.0%} of {counted(test.tries, 'utterance')} heard, "
        f"{counted(test.false_hints, 'false hint')} in {test.seconds / 60:.1f} minutes; "
        f"of the {test.false_hints_per_hour:g} an hour of the profile {test.profile}, most are expected of "
        f"{called(riskiest.entry_id)}: {riskiest.false_hints_per_hour:.2f}"
    )


def _print_more(label: str, count: int) -> None:
    if count > SHOWN_OF_SELF_TEST:
        click.echo(f"{label:<9} and {count - SHOWN_OF_SELF_TEST} more; all of them: --json")
