"""Rolling back moves the pointer to a version that is fit to be served, and removes nothing."""

from pathlib import Path

import pytest

from index_builder.publish import Switch, current, publish, roll_back, versions
from index_builder.testing import built_index
from streaming.errors import IndexFolderError, SettingError

FIRST, SECOND, THIRD = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2, 3))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with three versions."""
    for text, version in (("plague\n", FIRST), ("calamity\n", SECOND), ("catastrophe\n", THIRD)):
        publish(tmp_path, "acl", *built_index(text, version))
    return tmp_path


def test_rollback_goes_to_the_one_before(data_dir: Path) -> None:
    """Without a version it is the newest of the older ones, each time; before the first there is none."""
    assert roll_back(data_dir, "acl", "hash-encoder") == Switch(THIRD, SECOND)
    assert roll_back(data_dir, "acl", "hash-encoder") == Switch(SECOND, FIRST)
    with pytest.raises(IndexFolderError, match=f"no version older than {FIRST}"):
        roll_back(data_dir, "acl", "hash-encoder")
    assert current(data_dir, "acl").name == FIRST
    assert versions(data_dir, "acl") == (FIRST, SECOND, THIRD)


def test_rollback_goes_to_the_one_named(data_dir: Path) -> None:
    """Any version may be named, a newer one too."""
    assert roll_back(data_dir, "acl", "hash-encoder", FIRST) == Switch(THIRD, FIRST)
    assert roll_back(data_dir, "acl", "hash-encoder", THIRD) == Switch(FIRST, THIRD)


def test_version_that_cannot_be_served_is_refused(data_dir: Path) -> None:
    """A damaged version, one that is not there, one of another encoder, a name that is none: the pointer stays."""
    (data_dir / "glossaries" / "acl" / "versions" / SECOND / "background.npy").write_bytes(b"")
    with pytest.raises(IndexFolderError, match="is damaged"):
        roll_back(data_dir, "acl", "hash-encoder")
    with pytest.raises(
        IndexFolderError, match=f"has no version 20251014T091201Z-0123456789ab; it has: {FIRST}, {SECOND}"
    ):
        roll_back(data_dir, "acl", "hash-encoder", "20251014T091201Z-0123456789ab")
    with pytest.raises(IndexFolderError, match="was built by the encoder 'hash-encoder', but the model is 'other'"):
        roll_back(data_dir, "acl", "other", FIRST)
    with pytest.raises(SettingError, match="not a version name"):
        roll_back(data_dir, "acl", "hash-encoder", "../../etc")
    assert current(data_dir, "acl").name == THIRD


def test_unknown_glossary_makes_no_folder(tmp_path: Path) -> None:
    """A misspelt id is told and leaves nothing behind."""
    with pytest.raises(IndexFolderError, match="no glossary 'acl' is published"):
        roll_back(tmp_path, "acl", "hash-encoder")
    assert list(tmp_path.iterdir()) == []
