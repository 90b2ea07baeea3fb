"""The files of an index folder and the manifest that vouches for them.

`term_index` turns their content into entries and vectors. Every byte of the folder is covered: the files by their
SHA-256, the manifest by a checksum over its own canonical text.

All of it is hashed at every load, a large index too (half a gigabyte takes about half a second, and its pages are then
in memory). What was hashed is what is parsed: the bytes of a small file; of a large one the mapping through which it
was hashed. A mapping stays whole when its file is removed or its folder renamed. Who writes into a published file, or
cuts it, breaks the index of those who have it open; nothing of ours does, a version never changes.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from streaming.durable import new_folder
from streaming.errors import IndexFolderError
from streaming.index.mapped_arrays import Content
from streaming.index.vector_search import EXACT, SearchFacts

SCHEMA_VERSION = 2
METRIC = "inner_product"
SEARCH_FILE = "index.faiss"
VECTORS_FILE = "vectors.npy"
ENTRIES_FILE = "entries.jsonl"
OFFSETS_FILE = "offsets.npy"
BACKGROUND_FILE = "background.npy"
REPORT_FILE = "report.json"
MANIFEST_FILE = "manifest.json"
_REQUIRED = frozenset({SEARCH_FILE, ENTRIES_FILE, OFFSETS_FILE, BACKGROUND_FILE})
_ALLOWED = _REQUIRED | {REPORT_FILE, VECTORS_FILE}
_CURE = "build it again with `termcue reindex GLOSSARY --id ID`"
# A file of at least so many bytes is mapped, a smaller one read.
MAPPED_BYTES = 1 << 24

Chunk: TypeAlias = bytes | memoryview
NewContent: TypeAlias = bytes | Iterable[Chunk]


@dataclass(frozen=True, slots=True)
class GlossarySource:
    """A glossary file that an index was built from: its name without folders, SHA-256 (hex) and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What the manifest says of an index: who embedded it, its sizes, its sources, how it is searched.

    `target_langs` are the codes of the translations in the order of the glossary, "" where a language is not named:
    asking every entry for them would parse them all.
    """

    version: str
    encoder_id: str
    dim: int
    entries: int
    forms: int
    sources: tuple[GlossarySource, ...]
    target_langs: tuple[str, ...] = ()
    search: SearchFacts = field(default=EXACT)


def write_index_folder(folder: Path, facts: IndexFacts, files: Mapping[str, NewContent]) -> None:
    """Write `files` and their manifest as the new folder `folder`, whole or not at all.

    Args:
        folder: must not exist.
        facts: for the manifest.
        files: name -> content, whole or in pieces that are written and hashed as they come.

    Raises:
        IndexFolderError: `folder` exists already, or the disk refuses.
    """
    with new_folder(folder, IndexFolderError) as staging:
        fingerprints = {name: _write(staging / name, content) for name, content in files.items()}
        _write(staging / MANIFEST_FILE, _render_manifest(facts, fingerprints))


def read_index_folder(folder: Path, encoder_id: str) -> tuple[IndexFacts, dict[str, Content]]:
    """Open a folder and check all of it against its manifest.

    Args:
        folder: an index folder.
        encoder_id: the encoder that will make the queries.

    Raises:
        IndexFolderError: something is missing, changed, of another schema or of another encoder; says which.
    """
    facts, fingerprints = _read_manifest(folder)
    if facts.encoder_id != encoder_id:
        raise IndexFolderError(
            f"the index folder {folder} was built by the encoder {facts.encoder_id!r}, but the model is "
            f"{encoder_id!r}; {_CURE} and this model"
        )
    return facts, {name: _read_checked(folder, name, wanted) for name, wanted in fingerprints.items()}


def read_facts(folder: Path) -> IndexFacts:
    """What the manifest says, without a look at the other files: cheap for a list of versions.

    Raises:
        IndexFolderError: there is no manifest, or a damaged one.
    """
    return _read_manifest(folder)[0]


def damaged(folder: Path, what: str) -> IndexFolderError:
    """The error for a folder whose content is not what it should be; `what` is the finding."""
    return IndexFolderError(f"the index folder {folder} is damaged: {what}; {_CURE}")


def _write(path: Path, content: NewContent) -> dict[str, str | int]:
    """Write a file, wait until the disk holds it, and give its fingerprint."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as stream:
        for chunk in (content,) if isinstance(content, bytes) else content:
            digest.update(chunk)
            size += stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return {"sha256": digest.hexdigest(), "bytes": size}


def _read_manifest(folder: Path) -> tuple[IndexFacts, dict[str, dict[str, Any]]]:
    try:
        raw = (folder / MANIFEST_FILE).read_bytes()
    except OSError as cause:
        raise IndexFolderError(
            f"there is no index to read at {folder} ({MANIFEST_FILE}: {cause.strerror or cause}); {_CURE}"
        ) from cause
    return _parse_manifest(folder, raw)


def _render_manifest(facts: IndexFacts, fingerprints: Mapping[str, Mapping[str, str | int]]) -> bytes:
    body = {
        "schema_version": SCHEMA_VERSION,
        "metric": METRIC,
        **asdict(facts),
        "files": {name: dict(fingerprints[name]) for name in sorted(fingerprints)},
    }
    return _canonical({**body, "checksum": hashlib.sha256(_canonical(body)).hexdigest()})


def _canonical(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _parse_manifest(folder: Path, raw: bytes) -> tuple[IndexFacts, dict[str, dict[str, Any]]]:
    try:
        value: dict[str, Any] = json.loads(raw)
        schema = value["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise damaged(folder, f"{MANIFEST_FILE} is not a manifest ({cause})") from cause
    if schema != SCHEMA_VERSION:
        raise IndexFolderError(
            f"the index folder {folder} has schema version {schema!r}, this program reads {SCHEMA_VERSION}; {_CURE}"
        )
    try:
        facts = IndexFacts(
            version=str(value["version"]),
            encoder_id=str(value["encoder_id"]),
            dim=int(value["dim"]),
            entries=int(value["entries"]),
            forms=int(value["forms"]),
            sources=tuple(GlossarySource(**source) for source in value["sources"]),
            target_langs=tuple(str(lang) for lang in value["target_langs"]),
            search=SearchFacts(**value["search"]),
        )
        fingerprints = dict(value["files"])
        expected = _render_manifest(facts, fingerprints)
    except (ValueError, KeyError, TypeError) as cause:
        raise damaged(folder, f"{MANIFEST_FILE} lacks a field or has a wrong one ({cause})") from cause
    # Writing the manifest anew from what was understood must give the same bytes, checksum included.
    if raw != expected:
        raise damaged(folder, f"{MANIFEST_FILE} does not match its own checksum")
    if not _REQUIRED <= fingerprints.keys() <= _ALLOWED:
        raise damaged(folder, f"{MANIFEST_FILE} lists the files {sorted(fingerprints)} instead of {sorted(_REQUIRED)}")
    return facts, fingerprints


def _read_checked(folder: Path, name: str, wanted: Mapping[str, str | int]) -> Content:
    try:
        content = _open(folder / name)
    except OSError as cause:
        raise damaged(folder, f"{name} cannot be read ({cause.strerror or cause})") from cause
    if len(content) != wanted["bytes"]:
        raise damaged(folder, f"{name} has {len(content)} bytes, the manifest says {wanted['bytes']}")
    found = hashlib.sha256(content).hexdigest()
    if found != wanted["sha256"]:
        raise damaged(folder, f"{name} has SHA-256 {found[:12]}…, the manifest says {str(wanted['sha256'])[:12]}…")
    return content


def _open(path: Path) -> Content:
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size < MAPPED_BYTES:
            return stream.read()
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
