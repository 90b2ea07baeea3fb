"""The versions of glossaries that a recorded session listened for, where they are still there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.glossaries import open_file
from app.places import Places
from app.wiring import Model, OpenGlossary, serve_glossary, serve_layers
from index_builder.publish import is_same_content, load_current, load_version, published, version_folder, versions
from streaming.catalogue import SEPARATOR
from streaming.errors import GlossaryError, IndexFolderError
from streaming.layered_index import VERSION_SEPARATOR
from streaming.providers import Provider
from streaming.session import ServedGlossary


@dataclass(frozen=True, slots=True)
class RecordedVersions:
    """Opens glossaries in the versions that a recording names.

    Attributes:
        model: that hears the replay.
        places: where glossaries are published.
        provider: on what a file is embedded.
        files: glossary files by the ids under which they were served.
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
            opened = open_file(self.files[glossary_id], folder, self.places, self.provider)
            return OpenGlossary(glossary_id, opened.index)
        if glossary_id not in published(home):
            raise GlossaryError(
                f"the session listened for {glossary_id!r}, which is not published in {home}; give its file: "
                f"--glossary FILE, or where it is published: --data-dir DIR"
            )
        if version in versions(home, glossary_id):
            try:
                exact = load_version(version_folder(home, glossary_id, version), folder.encoder_id)
                return OpenGlossary(glossary_id, exact)
            except IndexFolderError:
                # Built by another model, which the replay tells; the current version may have been built by this one.
                pass
        return OpenGlossary(glossary_id, load_current(home, glossary_id, folder.encoder_id))


def is_same_version(one: str, other: str) -> bool:
    """Whether two versions, of one glossary or of layers, have the same content, whenever they were built."""
    pairs = list(zip(one.split(VERSION_SEPARATOR), other.split(VERSION_SEPARATOR), strict=False))
    return one.count(VERSION_SEPARATOR) == other.count(VERSION_SEPARATOR) and all(is_same_content(*p) for p in pairs)
