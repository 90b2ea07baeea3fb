"""Where built indexes live: immutable versions with a CURRENT pointer, and a cache for bare files.

`<data_dir>/glossaries/<id>/versions/<stamp>-<hash>/` and `<data_dir>/glossaries/<id>/CURRENT`, one line.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np

from index_builder.formats.source import GlossaryFile, read_source
from index_builder.report import IndexReport
from streaming.durable import remove_staging, replace_file
from streaming.errors import IndexFolderError, SettingError
from streaming.index_folder import REPORT_FILE, SCHEMA_VERSION, damaged
from streaming.term_index import TermIndex

MAX_CACHED = 16
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")
_KEY = re.compile(r"[0-9a-f]{32}")
_CANARIES = 64
_CANARY_TOLERANCE = 1e-4
_log = logging.getLogger(__name__)

Build: TypeAlias = Callable[[GlossaryFile, str], tuple[TermIndex, IndexReport]]
"""Builds the index of a glossary file under the version given."""


@dataclass(frozen=True, slots=True)
class CachedIndex:
    """The index of a bare file; `fresh` if it was built now, not found."""

    index: TermIndex
    report: IndexReport
    fresh: bool


def content_key(files: Sequence[GlossaryFile], encoder_id: str, options: Mapping[str, str] | None = None) -> str:
    """32 hex digits that change with anything an index depends on: files, encoder, options, schema."""
    parts = [SCHEMA_VERSION, encoder_id, sorted((options or {}).items()), [[f.path.name, f.sha256] for f in files]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def version_name(now: datetime, key: str) -> str:
    """The version of an index built at `now` (with a time zone) from the content `key`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key[:12]}"


def check_id(glossary_id: str) -> str:
    """`glossary_id` itself, if it may name a folder.

    Raises:
        SettingError: it holds anything but a-z, 0-9, ".", "_" and "-", begins with a sign, or holds "..".
    """
    if not _ID.fullmatch(glossary_id) or ".." in glossary_id:
        raise SettingError(
            f"the glossary id {glossary_id!r} cannot be used: take 1 to 100 of a-z, 0-9, '.', '_' and '-', beginning "
            f"with a letter or digit, without '..'"
        )
    return glossary_id


def publish(data_dir: Path, glossary_id: str, index: TermIndex, report: IndexReport) -> Path:
    """Write a version, ask it what it holds, and make it the current one.

    Args:
        data_dir: TermCue's data folder.
        glossary_id: under which streams ask for it.
        index: its `version` comes from `version_name`.
        report: kept beside it.

    Returns:
        the folder of the version.

    Raises:
        SettingError: the id or the version cannot name a folder.
        IndexFolderError: the disk refuses, or what was written does not answer; CURRENT is then as it was.
    """
    home = data_dir / "glossaries" / check_id(glossary_id)
    if not _VERSION.fullmatch(index.version):
        raise SettingError(f"{index.version!r} is not a version name such as 20261014T091203Z-3fd1a2b4c5d6")
    folder = home / "versions" / index.version
    with _locked(home, "lock"):
        if folder.parent.is_dir():
            remove_staging(folder.parent)
        # The same content published twice within a second is the same version.
        if not folder.exists():
            index.save(folder, report.to_bytes())
        check_canaries(load_version(folder, index.encoder_id), folder)
        try:
            replace_file(home / "CURRENT", f"{index.version}\n".encode())
        except OSError as cause:
            raise _unwritable(home, cause) from cause
    return folder


def current(data_dir: Path, glossary_id: str) -> Path:
    """The folder of the current version of a glossary.

    Raises:
        SettingError: the id cannot name a folder.
        IndexFolderError: nothing is published under it; lists what is.
    """
    home = data_dir / "glossaries" / check_id(glossary_id)
    try:
        version = (home / "CURRENT").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        known = ", ".join(published(data_dir)) or "none"
        raise IndexFolderError(
            f"no glossary {glossary_id!r} is published in {data_dir} (published: {known}); publish it with "
            f"`termcue reindex FILE --id {glossary_id}`"
        ) from None
    if not _VERSION.fullmatch(version):
        raise IndexFolderError(
            f"{home / 'CURRENT'} holds {version[:80]!r}, not a version; publish again with "
            f"`termcue reindex FILE --id {glossary_id}`"
        )
    return home / "versions" / version


def load_version(folder: Path, encoder_id: str) -> TermIndex:
    """The index of a published version, which must be the one that its folder is called.

    Raises:
        IndexFolderError: it cannot be used, or it is another version under this name.
    """
    index = TermIndex.load(folder, encoder_id)
    if index.version != folder.name:
        raise damaged(folder, f"it holds the version {index.version!r}")
    return index


def published(data_dir: Path) -> list[str]:
    """The ids of the published glossaries, sorted. A folder that no id can name is left out, with a logged warning."""
    ids = []
    for pointer in sorted((data_dir / "glossaries").glob("*/CURRENT")):
        try:
            ids.append(check_id(pointer.parent.name))
        except SettingError as error:
            _log.warning("%s is left out: %s", pointer.parent, error)
    return ids


def cached_index(
    path: Path | GlossaryFile,
    cache_dir: Path,
    encoder_id: str,
    build: Build,
    *,
    options: Mapping[str, str] | None = None,
) -> CachedIndex:
    """The index of a bare glossary file, built once per content, encoder and options.

    A damaged cache entry is built again. The least recently used beyond `MAX_CACHED` are removed.

    Args:
        path: the glossary file, or its content if it was read before.
        cache_dir: made if it is missing.
        encoder_id: of the encoder that `build` uses.
        build: called with the content that was hashed, and the version.
        options: whatever else the index depends on (languages, the hash of an alias file).

    Raises:
        GlossaryError: from reading or building.
        IndexFolderError: the cache cannot be written.
    """
    file = path if isinstance(path, GlossaryFile) else read_source(path)
    key = content_key([file], encoder_id, options)
    folder = cache_dir / key
    with _locked(cache_dir, f"lock-{key[0]}"):
        remove_staging(cache_dir, key)
        if (found := _load_cached(folder, encoder_id)) is not None:
            os.utime(folder)
            return found
        index, report = build(file, key[:12])
        shutil.rmtree(folder, ignore_errors=True)
        index.save(folder, report.to_bytes())
    _evict(cache_dir)
    return CachedIndex(index, report, fresh=True)


def check_canaries(index: TermIndex, folder: Path) -> None:
    """Ask the index for some of its own forms; each must find itself, or one of the same vector.

    Raises:
        IndexFolderError: one does not.
    """
    chosen = np.unique(np.linspace(0, len(index.forms) - 1, _CANARIES).astype(np.int64))
    queries = index.vectors[chosen]
    own = np.einsum("nd,nd->n", queries, queries)
    _, similarities = index.search(queries, 1)
    lost = chosen[np.abs(similarities[:, 0] - own) > _CANARY_TOLERANCE]
    if len(lost):
        text = index.forms[int(lost[0])].text
        raise IndexFolderError(
            f"the index in {folder} does not find its own form {text!r}; run `termcue reindex` again"
        )


def _load_cached(folder: Path, encoder_id: str) -> CachedIndex | None:
    if not folder.exists():
        return None
    try:
        index = TermIndex.load(folder, encoder_id)
        report = IndexReport.from_bytes((folder / REPORT_FILE).read_bytes())
    except (IndexFolderError, OSError, ValueError, KeyError, TypeError):
        return None
    return CachedIndex(index, report, fresh=False)


def _evict(cache_dir: Path) -> None:
    """Forget the least recently used; a reader at work has its bytes already or builds again."""
    folders = [folder for folder in cache_dir.iterdir() if _KEY.fullmatch(folder.name) and folder.is_dir()]
    folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[MAX_CACHED:]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Hold an exclusive lock on `folder/name`; a second writer waits. The lock goes with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as cause:
        raise _unwritable(folder, cause) from cause
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, cause: OSError) -> IndexFolderError:
    return IndexFolderError(f"cannot write in {folder}: {cause.strerror or cause}; choose another folder or free space")
