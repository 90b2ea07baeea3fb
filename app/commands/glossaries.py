"""`termcue glossaries`: what is published, and its versions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands.glossary_versions import diff, export, prune, rollback
from app.notes import counted, note
from app.options import data_dir_option, json_option

if TYPE_CHECKING:
    from index_builder.report import IndexReport

EPILOG = """\b
Examples:
  termcue glossaries list
  termcue glossaries show talks
  termcue glossaries rollback talks
  termcue glossaries export talks --out talks.xlsx
"""


@click.group(epilog=EPILOG)
def glossaries() -> None:
    """List published glossaries; show, compare, export, roll back and prune their versions."""


@glossaries.command(name="list", epilog="\b\nExample:\n  termcue glossaries list --json\n")
@data_dir_option
@json_option
def list_published(data_dir: Path | None, as_json: bool) -> None:
    """List the published glossaries with their current versions, entries and languages.

    One that cannot be read is told on standard error; the exit code is 1 then.
    """
    from app.places import Places
    from index_builder.publish import current, published
    from streaming.errors import IndexFolderError

    places = Places.of(data_dir)
    known = published(places.data)
    unreadable = 0
    for glossary_id in known:
        try:
            folder = current(places.data, glossary_id)
            report = _report(folder, glossary_id)
        except IndexFolderError as error:
            note(f"error: {error}")
            unreadable += 1
            continue
        if as_json:
            found = {"type": "Glossary", "id": glossary_id, "version": folder.name}
            click.echo(json.dumps({**found, "entries": report.entries, "target_langs": report.target_langs}))
        else:
            entries = counted(report.entries, "entry", "entries")
            click.echo(f"{glossary_id:<24} {folder.name}  {entries:<14} {', '.join(filter(None, report.target_langs))}")
    if not known:
        note(f"no glossary is published in {places.data}; publish one: termcue reindex terms.csv --id talks")
    if unreadable:
        raise click.exceptions.Exit(1)


@glossaries.command(epilog="\b\nExample:\n  termcue glossaries show talks\n")
@click.argument("glossary_id", metavar="ID")
@data_dir_option
@json_option
def show(glossary_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Show the report of a glossary's current version and its other versions."""
    from app.places import Places
    from index_builder.publish import current, versions

    places = Places.of(data_dir)
    folder = current(places.data, glossary_id)
    report = _report(folder, glossary_id)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
        return
    click.echo(
        f"{report.id}: {counted(report.entries, 'entry', 'entries')}, {counted(report.forms, 'spoken form')}, "
        f"{counted(len(report.rejected), 'rejected row')}"
    )
    for version in versions(places.data, glossary_id):
        click.echo(f"{'*' if version == folder.name else ' '} {version}")


for command in (rollback, prune, diff, export):
    glossaries.add_command(command)


def _report(folder: Path, glossary_id: str) -> "IndexReport":
    """The report beside a published index. Raises IndexFolderError where it cannot be read."""
    from index_builder.report import IndexReport
    from streaming.errors import IndexFolderError
    from streaming.index_folder import REPORT_FILE

    try:
        return IndexReport.from_bytes((folder / REPORT_FILE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFolderError(
            f"{folder / REPORT_FILE} cannot be read ({error}); publish again: termcue reindex FILE --id {glossary_id}"
        ) from error
