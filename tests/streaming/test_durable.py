"""Writes are whole or absent."""

import os
from pathlib import Path

import pytest

from streaming.durable import STAGING_PREFIX, new_folder, remove_staging, replace_file, write_file
from streaming.errors import IndexFolderError


def test_new_folder_appears_whole(tmp_path: Path) -> None:
    """The target exists only after the block, with all its files, and no staging folder stays."""
    target = tmp_path / "deep" / "target"
    with new_folder(target, IndexFolderError) as staging:
        write_file(staging / "a", b"1")
        assert not target.exists()
    assert (target / "a").read_bytes() == b"1"
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def _write_and_stop(target: Path, stop: type[BaseException]) -> None:
    with new_folder(target, IndexFolderError) as staging:
        write_file(staging / "a", b"1")
        raise stop


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_stopped_folder_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    """Ctrl-C or a failure inside the block removes the staging folder and makes no target."""
    with pytest.raises(stop):
        _write_and_stop(tmp_path / "target", stop)
    assert list(tmp_path.iterdir()) == []


def test_full_folder_is_not_replaced(tmp_path: Path) -> None:
    """A target that holds something stays as it was, and the error names it."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    with pytest.raises(IndexFolderError, match="target"), new_folder(target, IndexFolderError) as staging:
        write_file(staging / "new", b"new")
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_parent_that_is_a_file_is_told(tmp_path: Path) -> None:
    """A parent that cannot be a folder gives the package's error, not an OSError."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="cannot write"), new_folder(tmp_path / "file" / "x", IndexFolderError):
        pass


def test_replace_file_keeps_the_old_bytes_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses the new bytes, the old ones stay and no staging file does."""
    path = tmp_path / "CURRENT"
    replace_file(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_remove_staging_removes_only_what_was_left(tmp_path: Path) -> None:
    """Staging files and folders of the named target go, everything else stays."""
    (tmp_path / f"{STAGING_PREFIX}a-1").mkdir()
    (tmp_path / f"{STAGING_PREFIX}a-2").write_bytes(b"")
    (tmp_path / f"{STAGING_PREFIX}b-1").mkdir()
    (tmp_path / "a").mkdir()
    remove_staging(tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{STAGING_PREFIX}b-1", "a"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    """Who keeps a file elsewhere and links to it finds the new bytes there."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_into() -> None:
    """It is never replaced by a file, and what it refuses is an error."""
    replace_file(Path("/dev/null"), b"anything")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left"):
        replace_file(Path("/dev/full"), b"anything")
    assert Path("/dev/full").is_char_device()
