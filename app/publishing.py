"""What is published: new versions, and none where the current one holds the same already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import click

from app.glossaries import READING, GlossarySettings, build_with
from app.notes import note
from app.places import Places
from index_builder.formats import GlossaryFile
from index_builder.glossary import Glossary
from index_builder.publish import (
    check_canaries,
    content_key,
    current,
    is_same_content,
    load_entries,
    load_report,
    load_version,
    publish_in,
    sole_publisher,
    version_name,
)
from index_builder.report import IndexReport
from index_builder.stable_ids import keep_ids
from streaming.encoding.providers import Provider
from streaming.errors import IndexFolderError
from streaming.model_folder import ModelFolder
from streaming.term_index import TermIndex

Review: TypeAlias = Callable[[TermIndex, IndexReport], IndexReport]
"""What is found out about a new index before it is published, told in its report."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The report of the version that is current now; `is_new` unless it was current before with the same content."""

    report: IndexReport
    is_new: bool

    @property
    def told(self) -> dict[str, object]:
        """What is told with the report in JSON."""
        return {} if self.is_new else {"already_current": True}


def publish_glossary(
    glossary: Glossary,
    files: Sequence[GlossaryFile],
    folder: ModelFolder,
    places: Places,
    settings: GlossarySettings,
    provider: Provider = "cpu",
    review: Review = lambda index, report: report,
) -> Publication:
    """Build, review and publish a new version; where the current one holds the same, only review that.

    Raises:
        IndexFolderError: another process is publishing under this id, which is told before anything is built, or the
            disk refuses.
    """
    options = {"id": glossary.name, "reading": READING} | settings.options
    version = version_name(datetime.now(UTC), content_key(files, folder.encoder_id, options))
    with sole_publisher(places.data, glossary.name) as home:
        if (standing := _standing(places, glossary.name, version, folder.encoder_id)) is not None:
            return Publication(review(*standing), is_new=False)
        index, built = build_with(glossary, files, folder, version, places, provider)
        report = review(index, built)
        publish_in(home, index, report)
    return Publication(report, is_new=True)


def _standing(places: Places, glossary_id: str, version: str, encoder_id: str) -> tuple[TermIndex, IndexReport] | None:
    """The current version with its report, if its content is that of `version` and it is sound."""
    try:
        now = current(places.data, glossary_id)
        if not is_same_content(now.name, version):
            return None
        index = load_version(now, encoder_id)
        check_canaries(index, now)
        return index, load_report(now)
    except IndexFolderError:
        return None


def with_published_ids(glossary: Glossary, places: Places) -> Glossary:
    """The glossary with the ids that its entries have in the current version, if there is one that can be read."""
    try:
        return keep_ids(glossary, load_entries(current(places.data, glossary.name)))
    except IndexFolderError:
        return glossary


def tell(publication: Publication, places: Places, *, as_json: bool) -> None:
    """Print which version is current now; with --json the report has told it."""
    version = f"{publication.report.id} version {publication.report.version}"
    if not as_json:
        click.echo(f"{'published' if publication.is_new else 'current':<9} {version}")
    if publication.is_new:
        note(f"published in {places.data}")
    else:
        note(f"{version} is current and holds the same already: nothing was published")
