"""`termcue reindex`: glossary files become a published index version, checked; a talk's text, a list of candidates."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import note
from app.options import NamedPath, data_dir_option, json_option, model_option, provider_option

if TYPE_CHECKING:
    from index_builder.inflections import Inflections
    from streaming.encoding.providers import Provider

EPILOG = """\b
Examples:
  termcue reindex terms.csv --id talks
  termcue reindex terms.tsv names.xlsx --id acl2022 --target-lang zh --strict
  termcue reindex terms.csv --check --html report.html
  termcue reindex terms.csv --id talks --self-test
  termcue reindex --from-text paper.pdf > candidates.csv
"""
INFLECTIONS = ("auto", "always", "never")


@click.command(epilog=EPILOG)
@click.argument("glossary", nargs=-1, type=click.Path(path_type=Path))
@click.option("--id", "glossary_id", metavar="ID", help="Name to publish it under: a-z, 0-9, '.', '_' and '-'.")
@click.option("--source-lang", default="en", show_default=True, metavar="LANG", help="Language of the terms.")
@click.option(
    "--target-lang", default="", metavar="LANG", help="Language of a translation column that does not name it."
)
@click.option("--source-col", default="", metavar="COLUMN", help="Column of the terms: its heading, letter or number.")
@click.option(
    "--target-col", default="", metavar="COLUMN", help="Column of the translations; several as in 'B=de, C=fr'."
)
@click.option("--aliases", type=NamedPath(), metavar="FILE", help="alt2main.json: other names of terms.")
@click.option(
    "--inflections",
    type=click.Choice(INFLECTIONS),
    default="auto",
    show_default=True,
    help="Listen for plurals and possessives too. auto: where all forms together are at most 1500.",
)
@click.option("--check", is_flag=True, help="Only read and report; nothing is published.")
@click.option("--strict", is_flag=True, help="Publish nothing and end with 2 if any row is rejected.")
@click.option("--html", type=NamedPath(), metavar="FILE", help="Write the report as a page too.")
@click.option(
    "--self-test", is_flag=True, help="Have the entries spoken by eSpeak NG and listen: recall and false hints."
)
@click.option(
    "--self-test-entries",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many entries are spoken.",
)
@click.option(
    "--from-text",
    "text_files",
    multiple=True,
    type=NamedPath(),
    metavar="FILE",
    help="Print candidate terms of a PDF or text as CSV, for you to prune; those in GLOSSARY are left out.",
)
@json_option
@model_option
@provider_option
@data_dir_option
@click.pass_context
def reindex(
    context: click.Context,
    *,
    glossary: tuple[Path, ...],
    glossary_id: str | None,
    source_lang: str,
    target_lang: str,
    source_col: str,
    target_col: str,
    aliases: Path | None,
    inflections: "Inflections",
    check: bool,
    strict: bool,
    html: Path | None,
    self_test: bool,
    self_test_entries: int,
    text_files: tuple[Path, ...],
    as_json: bool,
    model: Path | None,
    provider: "Provider",
    data_dir: Path | None,
) -> None:
    """Build an index from one or more GLOSSARY files and publish it as a new version.

    Tables (CSV, TSV, XLSX), TBX, TMX, JSON or a list of terms, told by their content. Every row is an entry, part of
    one, or rejected with its line and reason.
    """
    from app.candidates import print_candidates
    from app.glossaries import GlossarySettings, id_of, read_glossaries
    from app.loaded_model import load_folder
    from app.places import Places
    from app.publishing import publish_glossary, tell, with_published_ids
    from app.reindexing import Review, checked, write_page
    from app.report_lines import print_report
    from index_builder.publish import check_id

    is_about_index = glossary_id is not None or check
    if wrong := _wrong_usage(bool(glossary), bool(text_files), is_about_index, bool(html or self_test)):
        raise click.UsageError(wrong, context)
    started = time.monotonic()
    settings = GlossarySettings(source_lang, target_lang, aliases, inflections, source_col, target_col)
    if text_files:
        print_candidates(text_files, glossary, settings, load_folder(model), as_json=as_json)
        return
    files, read = read_glossaries(
        glossary, check_id(id_of(glossary[0]) if glossary_id is None else glossary_id), settings
    )
    places = Places.of(data_dir)
    parsed = with_published_ids(read, places)
    review = Review(parsed, load_folder(model), provider, self_test_entries if self_test else 0)
    is_refused = strict and bool(parsed.rejected)
    publication = None
    if check or is_refused:
        report = checked(replace(review, self_test_entries=0) if is_refused else review, files, places, started)
    else:
        publication = publish_glossary(parsed, files, review.folder, places, settings, provider, review)
        report = publication.report
    if html is not None:
        write_page(html, report, parsed)
    terms = {each.entry.entry_id: each.entry.term for each in parsed.entries}
    print_report(report, terms, as_json=as_json, more=None if publication is None else publication.told)
    if is_refused:
        note(f"nothing is published: {len(report.rejected)} of {report.rows} rows are rejected and --strict was given")
        raise click.exceptions.Exit(2)
    if publication is not None:
        tell(publication, places, as_json=as_json)


def _wrong_usage(has_glossary: bool, has_text: bool, is_about_index: bool, wants_more: bool) -> str:
    """What is wrong with arguments that do not go together; "" for nothing."""
    if not has_glossary and not has_text:
        return "Missing argument 'GLOSSARY...': name a file, or --from-text FILE"
    if not is_about_index and not has_text:
        return "give the glossary a name to publish it under: --id talks"
    if has_text and (is_about_index or wants_more):
        return "--from-text only prints candidates; prune them, then publish the file"
    return ""
