"""Locks between processes: one publisher per glossary, who is told to the others. A lock goes with its process."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from index_builder.publish.names import check_id
from streaming.durable import remove_staging
from streaming.errors import IndexFolderError

_LOCK = "lock"
_MOST_TOLD = 200


@contextmanager
def sole_publisher(data_dir: Path, glossary_id: str) -> Iterator[Path]:
    """Give the folder of a glossary to one process at a time: to publish, roll back or prune.

    What a killed publisher left there is removed first.

    Raises:
        SettingError: the id cannot name a folder.
        IndexFolderError: another process is at work on it, says which and since when; or the folder cannot be written.
    """
    home = data_dir / "glossaries" / check_id(glossary_id)
    descriptor = _open(home, _LOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            holder = os.pread(descriptor, _MOST_TOLD, 0).decode("utf-8", "replace").strip() or "another process"
            raise IndexFolderError(
                f"the glossary {glossary_id!r} is being changed by {holder}; wait until it is done, then try again"
            ) from cause
        try:
            _write_holder(descriptor)
            remove_staging(home)
            remove_staging(home / "versions")
        except OSError as cause:
            raise unwritable(home, cause) from cause
        yield home
    finally:
        os.close(descriptor)


@contextmanager
def waiting_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold an exclusive lock on `folder/name`; a second process waits for what the first is making.

    Raises:
        IndexFolderError: the folder cannot be written.
    """
    descriptor = _open(folder, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unwritable(folder: Path, cause: OSError) -> IndexFolderError:
    """The error for a folder in which the system refuses to write."""
    return IndexFolderError(f"cannot write in {folder}: {cause.strerror or cause}; choose another folder or free space")


def _open(folder: Path, name: str) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as cause:
        raise unwritable(folder, cause) from cause


def _write_holder(descriptor: int) -> None:
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)
