"""The glossary desk of the page: what is served, read as tables, and uploads published as `termcue reindex` does."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.glossaries import GlossarySettings
from app.places import Places
from app.publishing import publish_glossary, with_published_ids
from app.reindexing import Review
from demo.desk import DialStop, OpenedGlossary, PublishedUpload, Upload
from index_builder.export.records import records
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.publish import check_id, current, load_entries
from index_builder.version_diff import VersionDiff, diff_entries
from streaming.encoding.providers import Provider
from streaming.entries import Entry
from streaming.errors import GlossaryError, IndexFolderError
from streaming.measured_recall import expected_recall
from streaming.model_folder import ModelFolder

# Fewest false hints first, so that to the right more is let through.
DIAL_PER_HOUR = (1, 2, 3, 6, 12, 20, 30, 60, 100, 150, 300, 600)
_TOLD_CHANGES = 50


@dataclass(frozen=True, slots=True)
class Edition:
    """A version of a glossary as it is served."""

    version: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Desk:
    """Reads and publishes glossaries for the page.

    Attributes:
        served: the edition of an id that is served, None for one that only its version folder tells.
        folder: the model that they are indexed with.
        places: where they are published.
        provider: on what the model runs.
        published: told of an id once its new version is current.
    """

    served: Callable[[str], Edition | None]
    folder: ModelFolder
    places: Places
    provider: Provider = "cpu"
    published: Callable[[str], None] = lambda glossary_id: None
    _publishing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, glossary_id: str) -> OpenedGlossary:
        """The edition that is served. Raises GlossaryError where it cannot be read here."""
        edition = self.served(glossary_id) or self._current(glossary_id)
        if edition is None:
            raise GlossaryError(f"the entries of {glossary_id!r} cannot be read here; it is published elsewhere")
        dial = [self._stop(per_hour, len(edition.entries)) for per_hour in DIAL_PER_HOUR]
        return OpenedGlossary(glossary_id, edition.version, list(records(edition.entries)), dial)

    def publish(self, upload: Upload) -> PublishedUpload:
        """Publish a file under an id; it is served when this returns.

        Raises:
            GlossaryError: the file holds nothing usable, or is an edition of a version that is the last no more.
            SettingError: the id cannot be used.
            IndexFolderError: the disk refuses, or another process is publishing under this id.
        """
        check_id(upload.glossary_id)
        file = GlossaryFile(Path(upload.file_name), upload.content)
        settings = GlossarySettings()
        parsed = parse_glossary(file, Languages(settings.source_lang, settings.target_lang))
        read = assemble(upload.glossary_id, [parsed], inflections=settings.inflections)
        glossary = with_published_ids(read, self.places)
        with self._publishing:
            before = self.served(upload.glossary_id) or self._current(upload.glossary_id)
            if before is not None and upload.made_of not in ("", before.version):
                raise GlossaryError(
                    f"version {before.version} was published meanwhile, by another page or program: nothing was "
                    "published. Note your changes, press 'Leave as it was', and make them in that version."
                )
            review = Review(glossary, self.folder, self.provider)
            done = publish_glossary(glossary, [file], self.folder, self.places, settings, self.provider, review)
            self.published(upload.glossary_id)
        report = done.report.as_dict()
        if before is None:
            return PublishedUpload(report, done.is_new)
        changes = diff_entries(before.entries, [each.entry for each in glossary.entries])
        return PublishedUpload(report, done.is_new, before.version, _told(changes), _counted(changes))

    def _stop(self, per_hour: float, entries: int) -> DialStop:
        threshold = self.folder.calibration.threshold(per_hour, entries)
        expected = expected_recall(self.folder.measured, per_hour, entries)
        if expected is None:
            return DialStop(per_hour, threshold)
        return DialStop(per_hour, threshold, (expected.lowest, expected.highest), expected.terms, expected.per_hour)

    def _current(self, glossary_id: str) -> Edition | None:
        try:
            folder = current(self.places.data, check_id(glossary_id))
            return Edition(folder.name, load_entries(folder))
        except IndexFolderError:
            return None


def _told(changes: VersionDiff) -> Mapping[str, Sequence[str]]:
    changed = [
        f"{each.term}: {', '.join(f'{field.field} {field.old} → {field.new}' for field in each.changes)}"
        for each in changes.changed[:_TOLD_CHANGES]
    ]
    return {
        "added": [entry.term for entry in changes.added[:_TOLD_CHANGES]],
        "removed": [entry.term for entry in changes.removed[:_TOLD_CHANGES]],
        "changed": changed,
    }


def _counted(changes: VersionDiff) -> Mapping[str, int]:
    return {"added": len(changes.added), "removed": len(changes.removed), "changed": len(changes.changed)}
