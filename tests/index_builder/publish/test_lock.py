"""One process at a time changes a glossary; another is refused at once and told by whom."""

import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from index_builder.publish import current, prune, publish, roll_back, sole_publisher
from index_builder.testing import built_index
from streaming.errors import IndexFolderError

VERSIONS = tuple(f"20261014T09120{second}Z-0123456789ab" for second in (1, 2))


def _publish(data_dir: Path, number: int = 0, glossary_id: str = "acl") -> Path:
    return publish(data_dir, glossary_id, *built_index("plague\n", VERSIONS[number]))


def test_second_publisher_is_refused_at_once(tmp_path: Path) -> None:
    """The sentence names the process, its machine and since when; the pointer is not moved."""
    first = _publish(tmp_path)
    with sole_publisher(tmp_path, "acl"):
        for attempt in (
            lambda: _publish(tmp_path, 1),
            lambda: roll_back(tmp_path, "acl", "hash-encoder", VERSIONS[0]),
            lambda: prune(tmp_path, "acl", 1),
        ):
            with pytest.raises(
                IndexFolderError, match=rf"'acl' is being changed by process {os.getpid()} on .+ since 20\d\d-.+ UTC"
            ):
                attempt()
    assert current(tmp_path, "acl") == first
    assert _publish(tmp_path, 1).name == VERSIONS[1]


def test_other_glossaries_are_not_locked(tmp_path: Path) -> None:
    """Two glossaries are published at a time."""
    with sole_publisher(tmp_path, "acl"):
        _publish(tmp_path, glossary_id="talks")


def _hold_until(data_dir: Path, is_held: Event) -> None:
    with sole_publisher(data_dir, "acl"):
        is_held.set()
        multiprocessing.get_context("spawn").Event().wait()


def test_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A publisher that is killed locks nobody out, and while it lives it is told by its process."""
    context = multiprocessing.get_context("spawn")
    is_held = context.Event()
    child = context.Process(target=_hold_until, args=(tmp_path, is_held))
    child.start()
    assert is_held.wait(60)
    with pytest.raises(IndexFolderError, match=f"process {child.pid} on"):
        _publish(tmp_path)
    child.kill()
    child.join(60)
    _publish(tmp_path)


def test_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """No traceback where the folder of a glossary cannot be made."""
    (tmp_path / "glossaries").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="cannot write in"), sole_publisher(tmp_path, "acl"):
        pass
