"""`termcue glossaries`: what is published."""

import json
from pathlib import Path

import click

from app.options import data_dir_option, json_option

EPILOG = """\b
Examples:
  termcue glossaries list
  termcue glossaries show talks
"""


@click.group(epilog=EPILOG)
def glossaries() -> None:
    """List and show published glossaries."""


@glossaries.command(name="list", epilog="\b\nExample:\n  termcue glossaries list --json\n")
@data_dir_option
@json_option
def list_published(data_dir: Path | None, as_json: bool) -> None:
    """List the published glossaries and their current versions."""
    from app.places import Places
    from index_builder.publish import current, published

    places = Places.of(data_dir)
    for glossary_id in published(places.data):
        version = current(places.data, glossary_id).name
        if as_json:
            click.echo(json.dumps({"type": "Glossary", "id": glossary_id, "version": version}))
        else:
            click.echo(f"{glossary_id:<24} {version}")


@glossaries.command(epilog="\b\nExample:\n  termcue glossaries show talks\n")
@click.argument("glossary_id", metavar="ID")
@data_dir_option
@json_option
def show(glossary_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Show the report of a glossary's current version and its other versions."""
    from app.places import Places
    from index_builder.publish import current
    from index_builder.report import IndexReport
    from streaming.errors import IndexFolderError
    from streaming.index_folder import REPORT_FILE

    folder = current(Places.of(data_dir).data, glossary_id)
    try:
        report = IndexReport.from_bytes((folder / REPORT_FILE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexFolderError(
            f"{folder / REPORT_FILE} cannot be read ({error}); publish again: termcue reindex FILE --id {glossary_id}"
        ) from error
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
        return
    click.echo(
        f"{report.id}: {report.entries} entries, {report.forms} spoken forms, {len(report.rejected)} rejected rows"
    )
    for version in sorted(path.name for path in folder.parent.iterdir() if not path.name.startswith(".")):
        click.echo(f"{'*' if version == folder.name else ' '} {version}")
