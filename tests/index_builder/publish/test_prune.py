"""Pruning removes old versions only: never the current one, never one that a process uses."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from index_builder.publish import Pruned, current, load_version, prune, publish, roll_back, versions
from index_builder.publish.holds import claimed
from index_builder.testing import built_index
from streaming.errors import IndexFolderError, SettingError

NAMES = tuple(f"20261014T09120{second}Z-0123456789ab" for second in range(5))
IN_USE = """
import sys
from pathlib import Path
from index_builder.publish import load_version
index = load_version(Path(sys.argv[1]), "hash-encoder")
print("loaded", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with five versions."""
    for name in NAMES:
        publish(tmp_path, "acl", *built_index(f"plague {name[14]}\n", name))
    return tmp_path


def test_newest_are_kept(data_dir: Path) -> None:
    """So many as were asked for, and nothing is left of the others."""
    assert prune(data_dir, "acl", 2) == Pruned(NAMES[:3], ())
    assert versions(data_dir, "acl") == NAMES[3:]
    assert sorted(path.name for path in current(data_dir, "acl").parent.iterdir()) == list(NAMES[3:])
    assert prune(data_dir, "acl", 2) == Pruned((), ())


def test_current_version_is_kept_however_old(data_dir: Path) -> None:
    """After a rollback the current version is not among the newest."""
    roll_back(data_dir, "acl", "hash-encoder", NAMES[0])
    assert prune(data_dir, "acl", 1) == Pruned(NAMES[1:4], ())
    assert versions(data_dir, "acl") == (NAMES[0], NAMES[4])


def test_version_is_in_use_as_long_as_its_index_lives(data_dir: Path) -> None:
    """An index that somebody still searches keeps its version; when it is gone, so may the version be."""
    index = load_version(current(data_dir, "acl").with_name(NAMES[1]), "hash-encoder")
    assert prune(data_dir, "acl", 1) == Pruned((NAMES[0], NAMES[2], NAMES[3]), (NAMES[1],))
    assert index.entries[0].term == "plague 1"
    del index
    gc.collect()
    assert prune(data_dir, "acl", 1) == Pruned((NAMES[1],), ())


def test_version_that_another_process_uses_is_kept(data_dir: Path) -> None:
    """A server in another process keeps what it serves until it ends, even by a kill."""
    folder = current(data_dir, "acl").with_name(NAMES[0])
    with subprocess.Popen(
        [sys.executable, "-c", IN_USE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "loaded\n"
        assert prune(data_dir, "acl", 4) == Pruned((), (NAMES[0],))
        server.kill()
    assert prune(data_dir, "acl", 4) == Pruned((NAMES[0],), ())


def test_version_that_is_being_removed_is_not_loaded(data_dir: Path) -> None:
    """Between claim and removal nobody can begin to use it."""
    folder = current(data_dir, "acl").with_name(NAMES[0])
    with claimed(folder) as is_free:
        assert is_free
        with pytest.raises(IndexFolderError, match="is being removed; take the current one"):
            load_version(folder, "hash-encoder")
    assert load_version(folder, "hash-encoder").version == NAMES[0]


def test_failed_load_holds_nothing(data_dir: Path) -> None:
    """A damaged version that was refused can be pruned by the process that tried."""
    folder = current(data_dir, "acl").with_name(NAMES[0])
    (folder / "background.npy").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="is damaged"):
        load_version(folder, "hash-encoder")
    assert prune(data_dir, "acl", 4).removed == (NAMES[0],)


def test_nothing_to_keep_is_refused(data_dir: Path) -> None:
    """A glossary keeps at least one version, and an unknown one is told."""
    with pytest.raises(SettingError, match="keep = 0"):
        prune(data_dir, "acl", 0)
    with pytest.raises(IndexFolderError, match="no glossary 'talks'"):
        prune(data_dir, "talks", 1)
    assert versions(data_dir, "acl") == NAMES
