"""Published versions are whole, confined and pointed to by CURRENT."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index_builder.publish import check_id, current, load_version, publish, published, version_name, versions
from index_builder.testing import built_index
from streaming.errors import IndexFolderError, SettingError
from streaming.term_index import TermIndex

NOW = datetime(2026, 10, 14, 9, 12, 3, tzinfo=UTC)


def _publish(data_dir: Path, text: str = "plague\n", now: datetime = NOW) -> Path:
    version = version_name(now, f"{sum(text.encode()):032x}")
    return publish(data_dir, "acl", *built_index(text, version))


def test_published_version_is_current(tmp_path: Path) -> None:
    """The folder is named by time and content, CURRENT names it, and the report lies in it."""
    folder = _publish(tmp_path)
    assert folder.name.startswith("20261014T091203Z-")
    assert current(tmp_path, "acl") == folder
    assert (tmp_path / "glossaries" / "acl" / "CURRENT").read_text() == f"{folder.name}\n"
    assert json.loads((folder / "report.json").read_text())["entries"] == 1
    assert TermIndex.load(folder, "hash-encoder").entries[0].term == "plague"
    assert published(tmp_path) == ["acl"]
    assert versions(tmp_path, "acl") == (folder.name,)


def test_new_version_leaves_the_old_one(tmp_path: Path) -> None:
    """Publishing adds a version and moves the pointer."""
    old = _publish(tmp_path)
    new = _publish(tmp_path, "calamity\n", NOW.replace(hour=10))
    assert current(tmp_path, "acl") == new
    assert TermIndex.load(old, "hash-encoder").entries[0].term == "plague"


def test_same_content_in_the_same_second_is_the_same_version(tmp_path: Path) -> None:
    """Publishing twice is no error."""
    assert _publish(tmp_path) == _publish(tmp_path)


def test_damaged_version_does_not_become_current(tmp_path: Path) -> None:
    """What was written must answer before CURRENT moves."""
    old = _publish(tmp_path)
    new = _publish(tmp_path, "calamity\n")
    (tmp_path / "glossaries" / "acl" / "CURRENT").write_text(f"{old.name}\n")
    (new / "index.faiss").write_bytes(b"")
    with pytest.raises(IndexFolderError, match=r"index\.faiss has 0 bytes"):
        _publish(tmp_path, "calamity\n")
    assert current(tmp_path, "acl") == old


def test_version_under_another_name_is_refused(tmp_path: Path) -> None:
    """A version's folder in the place of another is damage, with the cure."""
    old = _publish(tmp_path)
    assert load_version(old, "hash-encoder").version == old.name
    other = old.with_name("20271014T091203Z-0123456789ab")
    old.rename(other)
    with pytest.raises(IndexFolderError, match=f"is damaged: it holds the version '{old.name}'; build it again"):
        load_version(other, "hash-encoder")


def test_folder_that_no_id_can_name_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One badly named folder is told and does not hide the others."""
    _publish(tmp_path)
    (tmp_path / "glossaries" / "My Terms").mkdir()
    (tmp_path / "glossaries" / "My Terms" / "CURRENT").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert published(tmp_path) == ["acl"]
    assert "My Terms is left out: the glossary id 'My Terms' cannot be used" in caplog.text


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A staging folder of a dead process goes at the next publishing."""
    left = _publish(tmp_path).with_name(".staging-20261014T091203Z-0-1")
    left.mkdir()
    _publish(tmp_path, "calamity\n")
    assert not left.exists()


@pytest.mark.parametrize(
    "glossary_id", ["", "..", "a/b", "../x", "A", "a..b", ".hidden", "-x", "a\n", "ä", "x" * 101, "a b", "/etc"]
)
def test_ids_are_confined(tmp_path: Path, glossary_id: str) -> None:
    """An id that could leave its folder, or surprise a shell, is refused everywhere."""
    for attempt in (
        check_id,
        lambda i: current(tmp_path, i),
        lambda i: publish(tmp_path, i, *built_index("plague\n", "v")),
    ):
        with pytest.raises(SettingError, match="glossary id"):
            attempt(glossary_id)
    assert list(tmp_path.iterdir()) == []


def test_versions_are_confined(tmp_path: Path) -> None:
    """A version name that is none is refused, from the caller and from CURRENT."""
    with pytest.raises(SettingError, match="not a version name"):
        publish(tmp_path, "acl", *built_index("plague\n", "../../x"))
    _publish(tmp_path)
    (tmp_path / "glossaries" / "acl" / "CURRENT").write_text("../../../etc")
    with pytest.raises(IndexFolderError, match="not a version"):
        current(tmp_path, "acl")


def test_unknown_id_lists_what_is_published(tmp_path: Path) -> None:
    """The message names the ids there are and the command."""
    with pytest.raises(IndexFolderError, match=r"published: none"):
        current(tmp_path, "acl")
    _publish(tmp_path)
    with pytest.raises(IndexFolderError, match=r"published: acl\); publish it with `termcue reindex FILE --id other`"):
        current(tmp_path, "other")


def test_pointer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Damaged, a folder, or gone while versions are there: it is not said that nothing is published."""
    _publish(tmp_path)
    pointer = tmp_path / "glossaries" / "acl" / "CURRENT"
    cure = "publish again with `termcue reindex FILE --id acl`"
    pointer.write_bytes(b"2026\xff")
    with pytest.raises(IndexFolderError, match=f"CURRENT, .* cannot be read: it is no UTF-8; {cure}"):
        current(tmp_path, "acl")
    pointer.unlink()
    with pytest.raises(IndexFolderError, match=f"CURRENT, .*: it is missing, though 1 version lies there; {cure}"):
        current(tmp_path, "acl")
    pointer.mkdir()
    with pytest.raises(IndexFolderError, match=f"CURRENT, .*: Is a directory; {cure}"):
        current(tmp_path, "acl")


def test_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """No traceback where the data folder cannot be made."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="cannot write"):
        _publish(tmp_path / "file")


def test_pointer_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """CURRENT being a folder gives one sentence."""
    (tmp_path / "glossaries" / "acl" / "CURRENT").mkdir(parents=True)
    with pytest.raises(IndexFolderError, match="cannot write"):
        _publish(tmp_path)
