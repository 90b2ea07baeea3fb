"""Glossaries for training: whatever `termcue reindex` reads becomes a file of the form that training reads."""

import hashlib
import json
import os
from pathlib import Path

from app.glossaries import GlossarySettings, id_of, read_glossaries
from app.glossary_notes import note_rejected
from app.places import Places
from streaming.durable import replace_file
from streaming.entries import Entry
from streaming.errors import GlossaryError


def training_glossary(path: Path) -> Path:
    """A glossary in the form of `glossary_filtered.json`: the file itself where it is of that form, or a .txt.

    Any other is read as `termcue reindex` reads it and written to the cache under a name that is made of its content,
    so that a run which is repeated or goes on finds the same path.

    Args:
        path: the glossary; one that is not there is given back, for the command to tell of in its own words.

    Raises:
        GlossaryError: it cannot be read, holds nothing usable, or cannot be written.
    """
    from training.corpus.glossary import is_training_form

    if not path.exists() or is_training_form(path):
        return path
    _, glossary = read_glossaries([path], id_of(path), GlossarySettings())
    note_rejected(path, glossary.rejected, glossary.rows)
    content = json.dumps([_row(one.entry) for one in glossary.entries], ensure_ascii=False, indent=1).encode()
    folder = Places.of(None).cache / "training-glossaries"
    return _kept(folder / f"{hashlib.sha256(content).hexdigest()[:32]}.json", content, path)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "term": entry.term,
        "short_description": entry.note,
        "target_translations": dict(entry.translations),
        "aliases": list(entry.aliases),
    }


def _kept(target: Path, content: bytes, source: Path) -> Path:
    """The target, written if it is not there yet, and as old as its source: what goes by age goes by the source's."""
    if target.exists():
        return target
    try:
        written = source.stat()
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)
        os.utime(target, ns=(written.st_atime_ns, written.st_mtime_ns))
    except OSError as error:
        raise GlossaryError(
            f"cannot write {target}, which training reads in the place of {source}: {error.strerror or error}; free "
            "space there, or name another folder in XDG_CACHE_HOME"
        ) from error
    return target
