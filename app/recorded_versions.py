"""The versions of glossaries that a recorded session listened for, where they are still there."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.glossaries import id_of, open_file
from app.loaded_model import Model
from app.notes import note
from app.places import Places
from app.replayed_glossaries import glossary_moves
from app.wiring import OpenGlossary, serve_glossary, serve_layers
from index_builder.publish import (
    cached_version,
    is_same_content,
    load_current,
    load_version,
    published,
    version_folder,
    versions,
)
from streaming.encoding.providers import Provider
from streaming.errors import GlossaryError, IndexFolderError
from streaming.index.layered_index import VERSION_SEPARATOR
from streaming.session import ServedGlossary
from streaming.sessions.catalogue import SEPARATOR
from streaming.sessions.recorded_session import RecordedSession
from streaming.term_index import TermIndex


@dataclass(frozen=True, slots=True)
class RecordedVersions:
    """Opens glossaries in the versions that a recording names.

    Attributes:
        model: that hears the replay.
        places: where glossaries are published.
        provider: on what a file is embedded.
        files: glossary files by the ids that the recording has for them.
    """

    model: Model
    places: Places
    provider: Provider
    files: Mapping[str, Path]

    def load(self, glossary_id: str, version: str) -> ServedGlossary:
        """A glossary, or several in layers, in that version or else in the current one.

        Raises:
            GlossaryError, IndexFolderError, SettingError: it is not there, or cannot be used.
        """
        names, wanted = glossary_id.split(SEPARATOR), version.split(VERSION_SEPARATOR)
        layers = [serve_glossary(self.model, self._open(*each)) for each in zip(names, wanted, strict=False)]
        return layers[0] if len(layers) == 1 else serve_layers(self.model, layers)

    def _open(self, glossary_id: str, version: str) -> OpenGlossary:
        folder, home = self.model.folder, self.places.data
        if glossary_id in self.files:
            return self._open_file(glossary_id, version)
        if (exact := self._exact(glossary_id, version)) is not None:
            return OpenGlossary(glossary_id, exact)
        if glossary_id not in published(home):
            raise GlossaryError(
                f"the session listened for {glossary_id!r} in version {version}, which is neither published in {home} "
                f"nor kept of a file; give the file as it was then: --glossary FILE, or where it is published: "
                f"--data-dir DIR"
            )
        try:
            return OpenGlossary(glossary_id, load_current(home, glossary_id, folder.encoder_id))
        except IndexFolderError as error:
            raise IndexFolderError(
                f"{error}; or replay with its file: --glossary FILE, which is taken for the recorded "
                f"glossary by its name, {glossary_id}, or where only one was recorded"
            ) from error

    def _open_file(self, glossary_id: str, version: str) -> OpenGlossary:
        path = self.files[glossary_id]
        opened = open_file(path, self.model.folder, self.places, self.provider, glossary_id=glossary_id)
        index = opened.index
        if index.version != version:
            kept = "" if self._exact(glossary_id, version) is None else "; without --glossary, it is replayed as it was"
            note(
                f"{path} is not what the session listened for: its version is {index.version}, not {version}, by "
                f"content, name and model{kept}"
            )
        return opened

    def _exact(self, glossary_id: str, version: str) -> TermIndex | None:
        """That version, published or kept of a file that was served; None where it is gone or of another model."""
        home, encoder_id = self.places.data, self.model.folder.encoder_id
        there = versions(home, glossary_id) if glossary_id in published(home) else ()
        for name in there:
            if is_same_content(name, version):
                with suppress(IndexFolderError):
                    return load_version(version_folder(home, glossary_id, name), encoder_id)
        return cached_version(self.places.indexes, version, encoder_id)


def files_by_id(paths: Sequence[Path], recording: RecordedSession) -> dict[str, Path]:
    """Which recorded glossary each file stands for: by its name, and a single one for the only one there is."""
    moves = [] if recording.begin is None else glossary_moves(recording, recording.begin)
    recorded = {layer for move in moves for layer in move.glossary_id.split(SEPARATOR)}
    if len(paths) == len(recorded) == 1:
        return {recorded.pop(): paths[0]}
    return {id_of(path): path for path in paths}


def is_same_version(one: str, other: str) -> bool:
    """Whether two versions, of one glossary or of layers, have the same content, whenever they were built."""
    pairs = list(zip(one.split(VERSION_SEPARATOR), other.split(VERSION_SEPARATOR), strict=False))
    return one.count(VERSION_SEPARATOR) == other.count(VERSION_SEPARATOR) and all(is_same_content(*p) for p in pairs)
