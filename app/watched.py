"""Where served glossaries come from, and how a new version of each is noticed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from app.glossaries import id_of, open_file
from app.glossary_notes import TellReport, tell_report
from app.notes import counted
from app.places import Places
from app.wiring import OpenGlossary
from index_builder.publish import current, load_current, published
from streaming.encoding.providers import Provider
from streaming.errors import TermCueError
from streaming.model_folder import ModelFolder
from streaming.session import ServedGlossary
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.catalogue_watch import CatalogueWatch

# So many can be gone from any file, however short, without a word.
_FEW_TERMS = 5


@dataclass(frozen=True, slots=True)
class PublishedGlossary:
    """A published id; its pointer names the version.

    Attributes:
        id: of the glossary.
        data_dir: where it is published.
        encoder_id: of the model that searches it.
        serve: makes what sessions open of it.
    """

    id: str
    data_dir: Path
    encoder_id: str
    serve: Callable[[OpenGlossary], ServedGlossary]

    def stamp(self) -> str | None:
        """The current version."""
        try:
            return current(self.data_dir, self.id).name
        except TermCueError:
            return None

    def load(self) -> ServedGlossary:
        """The current version. Raises IndexFolderError."""
        return self.serve(OpenGlossary(self.id, load_current(self.data_dir, self.id, self.encoder_id)))

    def doubt(self, _: ServedGlossary, __: ServedGlossary) -> str | None:
        """What was published is meant."""
        return None


@dataclass(slots=True)
class SavedGlossary:
    """A bare file that its owner may save again at any time.

    Attributes:
        path: the file.
        open: reads and indexes it.
        serve: makes what sessions open of it.
    """

    path: Path
    open: Callable[[], OpenGlossary]
    serve: Callable[[OpenGlossary], ServedGlossary]
    _seen: str = field(default="")

    def stamp(self) -> str | None:
        """Its time and size, where nobody has saved it since the last look; at the first look, as they are."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        now = f"{status.st_mtime_ns} {status.st_size}"
        before, self._seen = self._seen, now
        return now if before in ("", now) else None

    def load(self) -> ServedGlossary:
        """What it holds now. Raises GlossaryError, OSError."""
        return self.serve(self.open())

    def doubt(self, old: ServedGlossary, new: ServedGlossary) -> str | None:
        """A file that has lost most of its terms was cut off more often than it was cleared."""
        lost = old.terms - new.terms
        if lost < _FEW_TERMS or new.terms > lost:
            return None
        return f"{self.path} has {new.terms} of {counted(old.terms, 'term')} left and may be saved halfway"


Source: TypeAlias = PublishedGlossary | SavedGlossary


def sources_of(
    names: Sequence[str],
    serve: Callable[[OpenGlossary], ServedGlossary],
    folder: ModelFolder,
    places: Places,
    provider: Provider,
    tell: TellReport = tell_report,
    is_stopping: Callable[[], bool] = bool,
) -> Callable[[], Mapping[str, Source]]:
    """Where these glossaries come from, files and published ids, by the ids they are served under.

    Without names it is all that is published at the time when it is asked for. `tell` is given the report of a file
    whenever it is read; files are no longer indexed once `is_stopping`.
    """

    def published_glossary(glossary_id: str) -> Source:
        return PublishedGlossary(glossary_id, places.data, folder.encoder_id, serve)

    if not names:
        return lambda: {glossary_id: published_glossary(glossary_id) for glossary_id in published(places.data)}
    named: dict[str, Source] = {}
    for name in names:
        path = Path(name)
        if path.exists():
            opened = partial(open_file, path, folder, places, provider, tell, is_stopping)
            named[id_of(path)] = SavedGlossary(path, opened, serve)
        else:
            named[name] = published_glossary(name)
    return lambda: named


@contextmanager
def followed(glossary: OpenGlossary, source: Source, stamp: str | None) -> Iterator[Catalogue]:
    """A catalogue of one glossary, kept up to date inside the context; `stamp` was taken before it was opened."""
    catalogue = Catalogue({glossary.id: source.serve(glossary)})
    with CatalogueWatch(catalogue, lambda: {glossary.id: source}, {glossary.id: stamp}):
        yield catalogue
