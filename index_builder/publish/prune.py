"""Pruning: old versions go, but never the current one or one that a running process uses."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from index_builder.publish.holds import claimed
from index_builder.publish.lock import sole_publisher, unwritable
from index_builder.publish.versions import current, versions
from streaming.durable import STAGING_PREFIX
from streaming.errors import SettingError


@dataclass(frozen=True, slots=True)
class Pruned:
    """The versions that were removed, and those that stay only because a process uses them."""

    removed: tuple[str, ...]
    in_use: tuple[str, ...]


def prune(data_dir: Path, glossary_id: str, keep: int) -> Pruned:
    """Remove all versions but the newest `keep` (at least 1), the current one, and those in use.

    A process that serves a version holds a lock on its manifest (`holds`), also on an old one that its sessions have
    not left yet.

    Raises:
        SettingError: the id is no name, or `keep` is below 1.
        IndexFolderError: nothing is published under it, another process is publishing, or the disk refuses.
    """
    if keep < 1:
        raise SettingError(f"keep = {keep} would leave no version: give at least 1")
    current(data_dir, glossary_id)
    removed: list[str] = []
    in_use: list[str] = []
    with sole_publisher(data_dir, glossary_id):
        now = current(data_dir, glossary_id)
        for name in versions(data_dir, glossary_id)[:-keep]:
            if name == now.name:
                continue
            with claimed(now.with_name(name)) as is_free:
                if is_free:
                    _remove(now.with_name(name))
            (removed if is_free else in_use).append(name)
    return Pruned(tuple(removed), tuple(in_use))


def _remove(folder: Path) -> None:
    """Away in one step first: whatever stops the rest, no reader finds half a version."""
    gone = folder.with_name(f"{STAGING_PREFIX}{folder.name}-pruned")
    try:
        folder.rename(gone)
    except OSError as cause:
        raise unwritable(folder.parent, cause) from cause
    shutil.rmtree(gone, ignore_errors=True)
