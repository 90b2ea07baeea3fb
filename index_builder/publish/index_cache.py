"""The cache of indexes of bare glossary files: built once per content, encoder and options."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from index_builder.formats.source import GlossaryFile, read_source
from index_builder.publish.lock import waiting_lock
from index_builder.publish.names import content_key
from index_builder.report import IndexReport
from streaming.durable import remove_staging
from streaming.errors import IndexFolderError
from streaming.index.index_folder import REPORT_FILE
from streaming.term_index import TermIndex

MAX_CACHED = 16
_KEY = re.compile(r"[0-9a-f]{32}")
_VERSION_DIGITS = 12
_VERSION = re.compile(rf"[0-9a-f]{{{_VERSION_DIGITS}}}")

Build: TypeAlias = Callable[[GlossaryFile, str], tuple[TermIndex, IndexReport]]
"""Builds the index of a glossary file under the version given."""


@dataclass(frozen=True, slots=True)
class CachedIndex:
    """The index of a bare file; `fresh` if it was built now, not found."""

    index: TermIndex
    report: IndexReport
    fresh: bool


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
    with waiting_lock(cache_dir, f"lock-{key[0]}"):
        remove_staging(cache_dir, key)
        if (found := _load_cached(folder, encoder_id)) is not None:
            os.utime(folder)
            return found
        index, report = build(file, key[:_VERSION_DIGITS])
        shutil.rmtree(folder, ignore_errors=True)
        index.save(folder, report.to_bytes())
    _evict(cache_dir)
    return CachedIndex(index, report, fresh=True)


def cached_version(cache_dir: Path, version: str, encoder_id: str) -> TermIndex | None:
    """The index of the file that was once indexed under this version; None where it is not kept any more."""
    if not _VERSION.fullmatch(version):
        return None
    for folder in sorted(cache_dir.glob(f"{version}*")):
        if _KEY.fullmatch(folder.name) and (found := _load_cached(folder, encoder_id)) is not None:
            os.utime(folder)
            return found.index
    return None


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
