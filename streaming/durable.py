"""Writes that are either whole or absent: a temporary sibling, flushed to the disk, then renamed.

A reader never sees half a file or half a folder, whatever stops the writer.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streaming.errors import TermCueError

STAGING_PREFIX = ".staging-"


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` and wait until the disk holds it. Not atomic: for files of a staging folder."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step; readers see the old bytes or the new ones.

    A link stays, and what it leads to is replaced; a device or pipe is written into.

    Raises:
        OSError: the folder cannot be written; `path` is then as it was.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        write_file(staging, content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
    _flush_folder(path.parent)


@contextmanager
def new_folder(target: Path, error: type[TermCueError]) -> Iterator[Path]:
    """Give an empty staging folder that becomes `target` when the block ends, and vanishes when it fails.

    Args:
        target: a folder that does not exist yet; missing parents are made.
        error: the class raised, with path and cause, when the disk refuses.
    """
    staging = target.with_name(f"{STAGING_PREFIX}{target.name}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        yield staging
        _flush_folder(staging)
        # POSIX lets a rename replace an empty folder; only a folder with content is refused there.
        staging.rename(target)
        _flush_folder(target.parent)
    except OSError as cause:
        raise error(
            f"cannot write the folder {target}: {cause.strerror or cause}; free space there or choose another folder"
        ) from cause
    finally:
        # Also on Ctrl-C: what is left of an unfinished folder goes. After the rename nothing is left.
        shutil.rmtree(staging, ignore_errors=True)


def remove_staging(parent: Path, name: str = "") -> None:
    """Remove what a killed writer left in `parent`, of the target `name` only if given.

    Call it under the writers' lock: it would also remove the folder of a writer at work.
    """
    for left in parent.glob(f"{STAGING_PREFIX}{name}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
