"""Glossaries as the user names them -> indexes: published ids, bare files (built once, then cached), the sample."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from app.glossary_notes import TellReport, tell_report
from app.notes import note
from app.places import Places
from app.progress import progress_bar
from app.wiring import SOURCE_LANG, AnyGlossary, LayeredGlossary, OpenGlossary, by_id
from index_builder.build import build_index
from index_builder.collection import without_collection
from index_builder.formats import Columns, GlossaryFile, Languages, parse_glossary, read_source
from index_builder.glossary import Glossary, assemble
from index_builder.inflections import Inflections
from index_builder.publish import cached_index, load_current, published
from index_builder.report import IndexReport
from index_builder.vector_cache import form_cache
from streaming.encoder import OnnxTextEncoder
from streaming.encoding.providers import Provider
from streaming.errors import GlossaryError, IndexFolderError, SettingError
from streaming.grapheme import OnnxPronouncer
from streaming.index.background import background_scores
from streaming.index.layered_index import LayeredIndex
from streaming.model_folder import ModelFolder
from streaming.sessions.catalogue import SEPARATOR
from streaming.term_index import TermIndex

SAMPLE_ID = "sample"
# Part of the cache's key: raised whenever the same file is read into other entries.
READING = "6"
_NO_ID = re.compile(r"[^a-z0-9._-]+")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GlossarySettings:
    """How glossary files are read: language codes, the seed's alias file, added forms, and chosen columns."""

    source_lang: str = SOURCE_LANG
    target_lang: str = ""
    aliases: Path | None = None
    inflections: Inflections = "auto"
    source_col: str = ""
    target_col: str = ""

    @property
    def options(self) -> dict[str, str]:
        """What of it an index depends on, the content of files apart."""
        written = {name: value for name, value in asdict(self).items() if isinstance(value, str)}
        return written | {"aliases": "" if self.aliases is None else self.aliases.name}


def open_glossary(
    name: str | None,
    folder: ModelFolder,
    places: Places,
    provider: Provider = "cpu",
    tell: TellReport = tell_report,
) -> OpenGlossary:
    """The index of a glossary file or a published id; the bundled sample if `name` is None.

    A file that is not indexed yet is embedded on `provider`; `tell` is given the report of a file.

    Raises:
        GlossaryError: it is neither, or the file holds nothing usable.
        IndexFolderError: the published version cannot be used.
    """
    if name is None:
        from app.samples import glossary_path

        return _open_file(glossary_path(), SAMPLE_ID, folder, places, provider, tell)
    if Path(name).exists():
        return open_file(Path(name), folder, places, provider, tell)
    known = published(places.data)
    if name in known:
        return OpenGlossary(name, load_current(places.data, name, folder.encoder_id))
    raise GlossaryError(
        f"{name!r} is neither a glossary file nor a published glossary; published in {places.data}: "
        f"{', '.join(known) or 'none'}; publish one: termcue reindex FILE --id ID"
    )


def open_layers(
    name: str | None, folder: ModelFolder, places: Places, provider: Provider = "cpu"
) -> tuple[OpenGlossary, ...]:
    """As `open_glossary`, and several parted by commas ("mine.csv, talks"), of which the first wins.

    Raises:
        GlossaryError, IndexFolderError: as `open_glossary`.
        SettingError: two have the same id, or one has no name.
    """
    if name is None or SEPARATOR not in name or Path(name).exists():
        return (open_glossary(name, folder, places, provider),)
    names = [each.strip() for each in name.split(SEPARATOR)]
    if not all(names):
        raise SettingError(f"in the glossaries {name!r} one has no name; remove the comma that is too much.")
    return tuple(by_id(open_glossary(each, folder, places, provider) for each in names).values())


def as_one(layers: Sequence[OpenGlossary]) -> AnyGlossary:
    """The layers as one glossary under all their ids; a single one is itself."""
    if len(layers) == 1:
        return layers[0]
    return LayeredGlossary(
        SEPARATOR.join(layer.id for layer in layers), LayeredIndex([layer.index for layer in layers])
    )


def note_untranslated(layers: Sequence[OpenGlossary], lang: str | None) -> None:
    """Say on standard error which layers lack the translations that are shown."""
    for layer in layers:
        if lang and not {lang, ""} & set(layer.target_langs):
            there = ", ".join(layer.target_langs) or "none"
            note(f"{layer.id} has no translations into {lang}, so its hints come without; it has: {there}")


def open_published(ids: Sequence[str], folder: ModelFolder, places: Places) -> list[OpenGlossary]:
    """Those of the published glossaries that can be used; any other is left out, and the log says why.

    Raises:
        IndexFolderError: none can be used.
    """
    opened = []
    for glossary_id in ids:
        try:
            index = load_current(places.data, glossary_id, folder.encoder_id)
        except IndexFolderError as error:
            logger.error("%s is left out: %s", glossary_id, error, extra={"glossary": glossary_id})
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


def open_file(
    path: Path,
    folder: ModelFolder,
    places: Places,
    provider: Provider = "cpu",
    tell: TellReport = tell_report,
    is_stopping: Callable[[], bool] = bool,
    *,
    glossary_id: str = "",
) -> OpenGlossary:
    """The index of a glossary file under an id or else the file's name; it is no longer built once `is_stopping`.

    `tell` is given its report.

    Raises:
        GlossaryError: it cannot be read, holds nothing usable, or was not built.
    """
    return _open_file(path, glossary_id or id_of(path), folder, places, provider, tell, is_stopping)


def _open_file(
    path: Path,
    glossary_id: str,
    folder: ModelFolder,
    places: Places,
    provider: Provider,
    tell: TellReport,
    is_stopping: Callable[[], bool] = bool,
) -> OpenGlossary:
    def build(file: GlossaryFile, version: str) -> tuple[TermIndex, IndexReport]:
        parsed = parse_glossary(file, Languages(SOURCE_LANG, ""))
        glossary = assemble(glossary_id, [parsed], inflections=GlossarySettings().inflections)
        return build_with(glossary, [file], folder, version, places, provider, is_stopping)

    options = {"id": glossary_id, "reading": READING}
    cached = cached_index(path, places.indexes, folder.encoder_id, build, options=options)
    tell(cached.report, path)
    return OpenGlossary(glossary_id, cached.index)


@without_collection()
def read_glossaries(
    paths: Sequence[Path], glossary_id: str, settings: GlossarySettings
) -> tuple[list[GlossaryFile], Glossary]:
    """Read files into one glossary, with the bytes that were read. Raises GlossaryError."""
    files = [read_source(path) for path in paths]
    aliases = None if settings.aliases is None else read_source(settings.aliases)
    languages = Languages(settings.source_lang, settings.target_lang)
    # Aliases name terms of any of the files; read with the first, they reach all.
    columns = Columns(settings.source_col, settings.target_col)
    parsed = [parse_glossary(file, languages, aliases if file is files[0] else None, columns) for file in files]
    glossary = assemble(glossary_id, parsed, inflections=settings.inflections, source_lang=settings.source_lang)
    return [*files, *([aliases] if aliases else [])], glossary


@without_collection()
def build_with(
    glossary: Glossary,
    files: Sequence[GlossaryFile],
    folder: ModelFolder,
    version: str,
    places: Places,
    provider: Provider = "cpu",
    is_stopping: Callable[[], bool] = bool,
) -> tuple[TermIndex, IndexReport]:
    """Build an index with a model's encoders, a progress bar on standard error meanwhile.

    Vectors, pronunciations and statistics of forms are kept in the cache folder and not computed again.

    Raises:
        IndexFolderError: the cache folder cannot be written.
        GlossaryError: `is_stopping` was so before it was built.
    """
    started = time.monotonic()

    def tell(done: int, total: int) -> None:
        if is_stopping():
            raise GlossaryError(f"the index of {glossary.name} was built to {done} of {total} and then not wanted")
        progress(done, total)

    cached = form_cache(places.cache / "forms", folder.encoder_id)
    with cached as cache, progress_bar(f"index of {glossary.name}") as progress:
        index = build_index(
            glossary,
            OnnxTextEncoder(folder, provider=provider),
            OnnxPronouncer(folder),
            background_scores(folder),
            version=version,
            sources=[file.source for file in files],
            progress=tell,
            cache=cache,
        )
    return index, IndexReport.of(glossary, index, time.monotonic() - started)
