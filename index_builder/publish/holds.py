"""Versions in use: whoever serves one holds a shared lock on its manifest, which ends with the process at the latest.

Nothing is written for it, so that a reader without rights to write can hold a version too.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streaming.errors import IndexFolderError
from streaming.index.index_folder import MANIFEST_FILE


def hold(folder: Path) -> int | None:
    """Mark a version as in use.

    Returns:
        A descriptor, to be closed when the version is no longer used; None where the folder has no manifest to hold.

    Raises:
        IndexFolderError: the version is being removed.
    """
    try:
        descriptor = os.open(folder / MANIFEST_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A file system without locks cannot be held; what is read is then still whole or refused by its hashes.
        with suppress(PermissionError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as cause:
        os.close(descriptor)
        if isinstance(cause, BlockingIOError):
            raise IndexFolderError(f"the version {folder} is being removed; take the current one") from cause
        return None
    return descriptor


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a version for its removal: whether nobody uses it, and nobody can begin to inside the block."""
    try:
        descriptor = os.open(folder / MANIFEST_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # Nobody can load a version without a manifest.
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
