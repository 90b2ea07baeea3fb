"""Glossaries as the user names them -> indexes: published ids, bare files (built once, then cached), the sample."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.notes import counted, note
from app.places import Places
from app.progress import progress_bar
from app.wiring import SOURCE_LANG, OpenGlossary
from index_builder.build import build_index
from index_builder.formats import GlossaryFile, Languages, RejectedRow, parse_glossary, read_source
from index_builder.glossary import Glossary, assemble
from index_builder.publish import cached_index, content_key, current, load_version, publish, published, version_name
from index_builder.report import IndexReport
from streaming.background import background_scores
from streaming.encoder import OnnxTextEncoder
from streaming.errors import GlossaryError, IndexFolderError
from streaming.grapheme import OnnxPronouncer
from streaming.model_folder import ModelFolder
from streaming.providers import Provider
from streaming.term_index import TermIndex

SAMPLE_ID = "sample"
SHOWN_WARNINGS = 3
# Part of the cache's key: raised whenever the same file is read into other entries.
READING = "3"
_NO_ID = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class GlossarySettings:
    """How glossary files are read: language codes, and the seed's alias file."""

    source_lang: str = SOURCE_LANG
    target_lang: str = ""
    aliases: Path | None = None


def open_glossary(name: str | None, folder: ModelFolder, places: Places, provider: Provider = "cpu") -> OpenGlossary:
    """The index of a glossary file or a published id; the bundled sample if `name` is None.

    A file that is not indexed yet is embedded on `provider`.

    Raises:
        GlossaryError: it is neither, or the file holds nothing usable.
        IndexFolderError: the published version cannot be used.
    """
    if name is None:
        from app.samples import glossary_path

        return _open_file(glossary_path(), SAMPLE_ID, folder, places, provider)
    if Path(name).exists():
        return _open_file(Path(name), id_of(Path(name)), folder, places, provider)
    known = published(places.data)
    if name in known:
        return OpenGlossary(name, load_version(current(places.data, name), folder.encoder_id))
    raise GlossaryError(
        f"{name!r} is neither a glossary file nor a published glossary; published in {places.data}: "
        f"{', '.join(known) or 'none'}; publish one: termcue reindex FILE --id ID"
    )


def open_published(ids: Sequence[str], folder: ModelFolder, places: Places) -> list[OpenGlossary]:
    """Those of the published glossaries that can be used; any other is told and left out.

    Raises:
        IndexFolderError: none can be used.
    """
    opened = []
    for glossary_id in ids:
        try:
            index = load_version(current(places.data, glossary_id), folder.encoder_id)
        except IndexFolderError as error:
            note(f"error: {glossary_id} is left out: {error}")
        else:
            opened.append(OpenGlossary(glossary_id, index))
    if not opened:
        raise IndexFolderError(
            f"none of the glossaries published in {places.data} can be used: {', '.join(ids)}; publish them again: "
            f"termcue reindex FILE --id ID"
        )
    return opened


def id_of(path: Path) -> str:
    """The id under which a bare file is listened for: its name in the letters of an id."""
    return _NO_ID.sub("-", path.stem.lower()).strip("-._") or "glossary"


def _open_file(path: Path, glossary_id: str, folder: ModelFolder, places: Places, provider: Provider) -> OpenGlossary:
    def build(file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
        parsed = parse_glossary(file, Languages(SOURCE_LANG, ""))
        return build_with(assemble(glossary_id, [parsed]), [file], folder, version, provider)

    options = {"id": glossary_id, "reading": READING}
    cached = cached_index(path, places.cache / "indexes", folder.encoder_id, build, options=options)
    _tell(cached.report, path)
    return OpenGlossary(glossary_id, cached.index)


def _tell(report: IndexReport, path: Path) -> None:
    """Say on standard error what a user would otherwise miss in the hints."""
    note_rejected(path, report.rejected, report.rows)
    for warning in report.warnings[:SHOWN_WARNINGS]:
        note(f"warning: {f'{warning.entry}: ' if warning.entry else ''}{warning.message}")
    if len(report.warnings) > SHOWN_WARNINGS:
        note(f"and {len(report.warnings) - SHOWN_WARNINGS} more: termcue reindex {path} --check")
    if not report.target_langs:
        note(f"this glossary has no translations: {path}")


def note_rejected(path: Path, rejected: Sequence[RejectedRow], rows: int) -> None:
    """Say on standard error how many rows of a file are not used, and why the first is not."""
    if rejected:
        first = rejected[0]
        note(
            f"{len(rejected)} of {counted(rows, 'row')} of {path} are not used; the first is line {first.line}: "
            f"{first.value!r}: {first.reason}; all of them: termcue reindex {path} --check"
        )


def read_glossaries(
    paths: Sequence[Path], glossary_id: str, settings: GlossarySettings
) -> tuple[list[GlossaryFile], Glossary]:
    """Read files into one glossary, with the bytes that were read. Raises GlossaryError."""
    files = [read_source(path) for path in paths]
    aliases = None if settings.aliases is None else read_source(settings.aliases)
    languages = Languages(settings.source_lang, settings.target_lang)
    # Aliases name terms of any of the files; read with the first, they reach all.
    parsed = [parse_glossary(file, languages, aliases if file is files[0] else None) for file in files]
    return [*files, *([aliases] if aliases else [])], assemble(glossary_id, parsed)


def build_with(
    glossary: Glossary,
    files: Sequence[GlossaryFile],
    folder: ModelFolder,
    version: str,
    provider: Provider = "cpu",
) -> tuple[TermIndex, IndexReport]:
    """Build an index with a model's encoders, a progress bar on standard error meanwhile."""
    started = time.monotonic()
    forms = count_forms(glossary)
    with progress_bar(f"index of {glossary.name}") as progress:
        index = build_index(
            glossary,
            OnnxTextEncoder(folder, provider=provider),
            OnnxPronouncer(folder),
            background_scores(folder, lambda done: progress(done, forms)),
            version=version,
            sources=[file.source for file in files],
            progress=progress,
        )
    return index, IndexReport.of(glossary, index, time.monotonic() - started)


def count_forms(glossary: Glossary) -> int:
    """Spoken forms of all entries."""
    return sum(len(entry.forms) for entry in glossary.entries)


def publish_glossary(
    glossary: Glossary,
    files: Sequence[GlossaryFile],
    folder: ModelFolder,
    places: Places,
    settings: GlossarySettings,
    provider: Provider = "cpu",
) -> IndexReport:
    """Build and publish a new version. Raises IndexFolderError where the disk refuses."""
    options = {"id": glossary.name, "source_lang": settings.source_lang, "target_lang": settings.target_lang}
    version = version_name(datetime.now(UTC), content_key(files, folder.encoder_id, options))
    index, report = build_with(glossary, files, folder, version, provider)
    publish(places.data, glossary.name, index, report)
    return report


def checked_report(glossary: Glossary, seconds: float) -> IndexReport:
    """The report of a glossary that was read and not built: it has no version."""
    return IndexReport(
        id=glossary.name,
        version="",
        rows=glossary.rows,
        entries=len(glossary.entries),
        merged=glossary.merged,
        forms=count_forms(glossary),
        rejected=glossary.rejected,
        warnings=glossary.warnings,
        seconds=round(seconds, 3),
        target_langs=glossary.target_langs,
    )
