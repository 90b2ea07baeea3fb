"""The files of an index folder and the manifest that vouches for them, as bytes.

`term_index` turns the bytes into entries and vectors. Every byte of the folder is covered: the files by their
SHA-256, the manifest by a checksum over its own canonical text. What was hashed is what is parsed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streaming.durable import new_folder, write_file
from streaming.errors import IndexFolderError

SCHEMA_VERSION = 1
METRIC = "inner_product"
VECTORS_FILE = "index.faiss"
ENTRIES_FILE = "entries.jsonl"
BACKGROUND_FILE = "background.npy"
REPORT_FILE = "report.json"
MANIFEST_FILE = "manifest.json"
_REQUIRED = frozenset({VECTORS_FILE, ENTRIES_FILE, BACKGROUND_FILE})
_ALLOWED = _REQUIRED | {REPORT_FILE}
_CURE = "build it again with `termcue reindex GLOSSARY --id ID`"


@dataclass(frozen=True, slots=True)
class GlossarySource:
    """A glossary file that an index was built from: its name without folders, SHA-256 (hex) and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What the manifest says of an index: who embedded it, its sizes and its sources."""

    version: str
    encoder_id: str
    dim: int
    entries: int
    forms: int
    sources: tuple[GlossarySource, ...]


def write_index_folder(folder: Path, facts: IndexFacts, files: Mapping[str, bytes]) -> None:
    """Write `files` and their manifest as the new folder `folder`, whole or not at all.

    Raises:
        IndexFolderError: `folder` exists already, or the disk refuses.
    """
    manifest = _render_manifest(facts, {name: _fingerprint(content) for name, content in files.items()})
    with new_folder(folder, IndexFolderError) as staging:
        for name, content in files.items():
            write_file(staging / name, content)
        write_file(staging / MANIFEST_FILE, manifest)


def read_index_folder(folder: Path, encoder_id: str) -> tuple[IndexFacts, dict[str, bytes]]:
    """Read a folder and check it against its manifest.

    Args:
        folder: an index folder.
        encoder_id: the encoder that will make the queries.

    Raises:
        IndexFolderError: something is missing, changed, of another schema or of another encoder; says which.
    """
    try:
        raw = (folder / MANIFEST_FILE).read_bytes()
    except OSError as cause:
        raise IndexFolderError(
            f"there is no index to read at {folder} ({MANIFEST_FILE}: {cause.strerror or cause}); {_CURE}"
        ) from cause
    facts, fingerprints = _parse_manifest(folder, raw)
    if facts.encoder_id != encoder_id:
        raise IndexFolderError(
            f"the index folder {folder} was built by the encoder {facts.encoder_id!r}, but the model is "
            f"{encoder_id!r}; {_CURE} and this model"
        )
    return facts, {name: _read_checked(folder, name, wanted) for name, wanted in fingerprints.items()}


def damaged(folder: Path, what: str) -> IndexFolderError:
    """The error for a folder whose content is not what it should be; `what` is the finding."""
    return IndexFolderError(f"the index folder {folder} is damaged: {what}; {_CURE}")


def _fingerprint(content: bytes) -> dict[str, str | int]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


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


def _read_checked(folder: Path, name: str, wanted: Mapping[str, str | int]) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as cause:
        raise damaged(folder, f"{name} cannot be read ({cause.strerror or cause})") from cause
    found = _fingerprint(content)
    if found["bytes"] != wanted["bytes"]:
        raise damaged(folder, f"{name} has {found['bytes']} bytes, the manifest says {wanted['bytes']}")
    if found["sha256"] != wanted["sha256"]:
        raise damaged(
            folder, f"{name} has SHA-256 {str(found['sha256'])[:12]}…, the manifest says {str(wanted['sha256'])[:12]}…"
        )
    return content
