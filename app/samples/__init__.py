"""The bundled sample: six public-domain recordings, the words spoken in them and a glossary.

`termcue listen sample` streams `recordings()` in order against `glossary_path()`. Sources and licences
stand in LICENSE.md beside the files.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording: 16 kHz mono FLAC at `path`, and what is said in it, lower case without punctuation."""

    path: Path
    words: str


def samples_folder() -> Path:
    """Return the folder of the bundled files (wheels are installed unpacked, so it is a real folder)."""
    return Path(str(files(__name__)))


def recordings() -> tuple[Recording, ...]:
    """Return the bundled recordings in the order in which they are streamed."""
    folder = samples_folder()
    rows: list[dict[str, str]] = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
    return tuple(Recording(path=folder / row["file"], words=row["words"]) for row in rows)


def glossary_path() -> Path:
    """Return the CSV glossary of the sample: English terms in German, Chinese and Spanish.

    About a quarter of its entries are spoken in the recordings; the others must not be hinted.
    """
    return samples_folder() / "glossary.csv"
