"""One name for one file, however it was written: relative, through `..` or through links."""

import os
from functools import lru_cache
from pathlib import Path


@lru_cache(1 << 12)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def real_path(path: str | os.PathLike[str]) -> str:
    """The absolute path without links. Folders are looked up once: rows by the million share a few.

    Raises:
        ValueError: no file can have such a name.
    """
    text = os.fspath(path)
    if b"\0" in os.fsencode(text):
        raise ValueError("it holds a zero byte")
    # Not Path.cwd() / path: a Path a row is slow.
    folder, name = os.path.split(text if os.path.isabs(text) else os.path.join(os.getcwd(), text))  # noqa: PTH109, PTH117, PTH118
    if name in {"", ".", ".."}:
        return os.path.realpath(text)
    joined = os.path.join(_real_folder(folder), name)  # noqa: PTH118
    return os.path.realpath(joined) if os.path.islink(joined) else joined  # noqa: PTH114


def why_no_file(path: Path) -> str | None:
    """Why there is nothing to read, or None; opening a pipe or a device might wait for ever."""
    if path.is_file():
        return None
    return "is no regular file" if path.exists() else "is not there"
