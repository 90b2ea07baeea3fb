"""Published versions and the pointer to the current one, as readers see them."""

import logging
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from index_builder.publish.holds import hold
from index_builder.publish.names import begins_version, check_id, is_version
from index_builder.report import IndexReport
from streaming.entries import Entry
from streaming.errors import IndexFolderError, SettingError
from streaming.index.index_folder import REPORT_FILE, damaged, read_facts
from streaming.term_index import TermIndex

POINTER = "CURRENT"
# How often the pointer may move on while the version that it named is being loaded.
_LOADS = 3
_log = logging.getLogger(__name__)


def current(data_dir: Path, glossary_id: str) -> Path:
    """The folder of the current version of a glossary.

    Raises:
        SettingError: the id cannot name a folder.
        IndexFolderError: nothing is published under it; lists what is.
    """
    home = data_dir / "glossaries" / check_id(glossary_id)
    try:
        version = (home / POINTER).read_text("utf-8").strip()
    except (IsADirectoryError, PermissionError, UnicodeDecodeError) as error:
        raise _unreadable(home, glossary_id, getattr(error, "strerror", None) or "it is no UTF-8") from error
    except OSError:
        if there := versions(data_dir, glossary_id):
            raise _unreadable(home, glossary_id, _missing_beside(len(there))) from None
        known = ", ".join(published(data_dir)) or "none"
        raise IndexFolderError(
            f"no glossary {glossary_id!r} is published in {data_dir} (published: {known}); publish it with "
            f"`termcue reindex FILE --id {glossary_id}`"
        ) from None
    if not is_version(version):
        raise IndexFolderError(
            f"{home / POINTER} holds {version[:80]!r}, not a version; publish again with "
            f"`termcue reindex FILE --id {glossary_id}`"
        )
    return home / "versions" / version


def _missing_beside(count: int) -> str:
    return f"it is missing, though {'1 version lies' if count == 1 else f'{count} versions lie'} there"


def _unreadable(home: Path, glossary_id: str, why: str) -> IndexFolderError:
    return IndexFolderError(
        f"{home / POINTER}, which names the current version, cannot be read: {why}; publish again with "
        f"`termcue reindex FILE --id {glossary_id}`"
    )


def versions(data_dir: Path, glossary_id: str) -> tuple[str, ...]:
    """The versions of a glossary that are there, oldest first. Raises SettingError for what is no id."""
    folder = data_dir / "glossaries" / check_id(glossary_id) / "versions"
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if is_version(path.name)))


def version_folder(data_dir: Path, glossary_id: str, version: str | None) -> Path:
    """The folder of a version, of the current one for None.

    Args:
        data_dir: TermCue's data folder.
        glossary_id: the glossary.
        version: its name, or as much of the name's beginning as no other version shares.

    Raises:
        SettingError: the id or the version is no name, or several versions begin so.
        IndexFolderError: it is not there; lists what is.
    """
    now = current(data_dir, glossary_id)
    if version is None:
        return now
    there = versions(data_dir, glossary_id)
    meant = [name for name in there if version and name.startswith(version)]
    cure = f"`termcue glossaries show {glossary_id}` lists them"
    if len(meant) > 1:
        raise SettingError(f"several versions of {glossary_id!r} begin with {version!r}: {', '.join(meant)}; {cure}")
    if meant:
        return now.with_name(meant[0])
    if not begins_version(version):
        raise SettingError(
            f"{version[:80]!r} is not a version name such as 20261014T091203Z-3fd1a2b4c5d6, nor the beginning of "
            f"one; {cure}"
        )
    raise IndexFolderError(
        f"the glossary {glossary_id!r} has no version {version}; it has: {', '.join(there) or 'none'}; {cure}"
    )


def load_version(folder: Path, encoder_id: str) -> TermIndex:
    """The index of a published version, which must be the one that its folder is called.

    The version counts as in use, and is not pruned, as long as the index lives.

    Raises:
        IndexFolderError: it cannot be used, or it is another version under this name.
    """
    held = hold(folder)
    try:
        index = TermIndex.load(folder, encoder_id)
        if index.version != folder.name:
            raise damaged(folder, f"it holds the version {index.version!r}")
    except BaseException:
        if held is not None:
            os.close(held)
        raise
    if held is not None:
        weakref.finalize(index, os.close, held)
    return index


def load_report(folder: Path) -> IndexReport:
    """The report beside a published version. Raises IndexFolderError where it cannot be read."""
    try:
        return IndexReport.from_bytes((folder / REPORT_FILE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFolderError(
            f"{folder / REPORT_FILE} cannot be read ({error}); publish again: termcue reindex FILE --id "
            f"{folder.parent.parent.name}"
        ) from error


def load_entries(folder: Path) -> Sequence[Entry]:
    """The entries of a published version, by whatever encoder it was made.

    Raises:
        IndexFolderError: it cannot be used.
    """
    return load_version(folder, read_facts(folder).encoder_id).entries


def load_current(data_dir: Path, glossary_id: str, encoder_id: str) -> TermIndex:
    """The index of the current version, also where another becomes current meanwhile and the first is pruned.

    Raises:
        SettingError, IndexFolderError: as `current` and `load_version`.
    """
    for _ in range(_LOADS):
        folder = current(data_dir, glossary_id)
        try:
            return load_version(folder, encoder_id)
        except IndexFolderError:
            if current(data_dir, glossary_id) == folder:
                raise
    return load_version(current(data_dir, glossary_id), encoder_id)


def published(data_dir: Path) -> list[str]:
    """The ids of the published glossaries, sorted. A folder that no id can name is left out, with a logged warning."""
    ids = []
    for pointer in sorted((data_dir / "glossaries").glob(f"*/{POINTER}")):
        try:
            ids.append(check_id(pointer.parent.name))
        except SettingError as error:
            _log.warning("%s is left out: %s", pointer.parent, error)
    return ids
