"""`termcue glossaries`: what is published, and its versions."""

import json
from pathlib import Path

import click

from app.commands.glossary_versions import diff, export, prune, rollback
from app.notes import counted, note
from app.options import data_dir_option, json_option

EPILOG = """\b
Examples:
  termcue glossaries list
  termcue glossaries show talks
  termcue glossaries rollback talks
  termcue glossaries export talks --out talks.xlsx
"""


@click.group(epilog=EPILOG)
def glossaries() -> None:
    """List published glossaries; show, compare, export, roll back and prune their versions.

    A version may be called by the beginning of its name, as long as no other begins so.
    """


@glossaries.command(name="list", epilog="\b\nExample:\n  termcue glossaries list --json\n")
@data_dir_option
@json_option
def list_published(data_dir: Path | None, as_json: bool) -> None:
    """List the published glossaries with their current versions, entries and languages.

    One that cannot be read is told on standard error; the exit code is 1 then.
    """
    from app.places import Places
    from index_builder.publish import current, load_report, published
    from streaming.errors import IndexFolderError

    places = Places.of(data_dir)
    known = published(places.data)
    unreadable = 0
    for glossary_id in known:
        try:
            folder = current(places.data, glossary_id)
            report = load_report(folder)
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
    """Show the report of a glossary's current version, as reindex printed it, and all versions (*: the current one)."""
    from app.places import Places
    from app.report_lines import print_report
    from index_builder.publish import current, load_entries, load_report, versions

    places = Places.of(data_dir)
    folder = current(places.data, glossary_id)
    report = load_report(folder)
    there = versions(places.data, glossary_id)
    # Only the self-test names entries by their terms.
    entries = () if report.self_test is None else load_entries(folder)
    terms = {entry.entry_id: entry.term for entry in entries}
    print_report(report, terms, as_json=as_json, more={"versions": there})
    if as_json:
        return
    for version in there:
        click.echo(f"{'*' if version == folder.name else ' '} {version}")


for command in (rollback, prune, diff, export):
    glossaries.add_command(command)
