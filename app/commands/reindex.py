"""`termcue reindex`: glossary files become a published index version."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import counted, note
from app.options import NamedPath, data_dir_option, json_option, model_option, provider_option

if TYPE_CHECKING:
    from index_builder.report import IndexReport
    from streaming.providers import Provider

EPILOG = """\b
Examples:
  termcue reindex terms.csv --id talks
  termcue reindex terms.tsv names.csv --id acl2022 --target-lang zh --strict
  termcue reindex terms.csv --check
"""


@click.command(epilog=EPILOG)
@click.argument("glossary", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--id", "glossary_id", metavar="ID", help="Name to publish it under: a-z, 0-9, '.', '_' and '-'.")
@click.option("--source-lang", default="en", show_default=True, metavar="LANG", help="Language of the terms.")
@click.option(
    "--target-lang", default="", metavar="LANG", help="Language of a translation column that does not name it."
)
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option("--check", is_flag=True, help="Only read and report; nothing is built or published.")
@click.option("--strict", is_flag=True, help="Publish nothing and end with 2 if any row is rejected.")
@json_option
@model_option
@provider_option
@data_dir_option
@click.pass_context
def reindex(
    context: click.Context,
    glossary: tuple[Path, ...],
    glossary_id: str | None,
    source_lang: str,
    target_lang: str,
    aliases: Path | None,
    check: bool,
    strict: bool,
    as_json: bool,
    model: Path | None,
    provider: "Provider",
    data_dir: Path | None,
) -> None:
    """Build an index from one or more GLOSSARY files and publish it as a new version.

    A table (CSV, TSV, semicolons) with a column of terms, or a JSON glossary. Every row is an entry, part of
    one, or rejected with its line and reason.
    """
    from app.glossaries import GlossarySettings, checked_report, id_of, publish_glossary, read_glossaries
    from app.places import Places
    from app.wiring import load_folder
    from index_builder.publish import check_id

    if glossary_id is None and not check:
        raise click.UsageError("give the glossary a name to publish it under: --id talks", context)
    started = time.monotonic()
    places = Places.of(data_dir)
    settings = GlossarySettings(source_lang, target_lang, aliases)
    files, parsed = read_glossaries(
        glossary, check_id(id_of(glossary[0]) if glossary_id is None else glossary_id), settings
    )
    is_refused = strict and bool(parsed.rejected)
    if check or is_refused:
        report = checked_report(parsed, time.monotonic() - started)
    else:
        report = publish_glossary(parsed, files, load_folder(model), places, settings, provider)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _print_report(report)
    if is_refused:
        note(f"nothing is published: {len(report.rejected)} of {report.rows} rows are rejected and --strict was given")
        raise click.exceptions.Exit(2)
    if not check:
        note(f"published {report.id} version {report.version} in {places.data}")


def _print_report(report: "IndexReport") -> None:
    from index_builder.report import summed_up

    for row in report.rejected:
        click.echo(f"rejected  {row.file} line {row.line}: {row.value!r}: {row.reason}")
    for warning in summed_up(report.warnings):
        click.echo(f"warning   {f'{warning.entry}: ' if warning.entry else ''}{warning.message}")
    click.echo(
        f"{counted(report.rows, 'row')}: {counted(report.entries, 'entry', 'entries')} "
        f"({counted(report.forms, 'spoken form')}), {report.merged} merged, "
        f"{len(report.rejected)} rejected; {report.seconds:.1f} s"
    )
