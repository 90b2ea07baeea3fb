"""Where things are kept."""

from pathlib import Path

import pytest

from app.places import Places
from streaming.errors import SettingError


def test_folders_follow_the_xdg_specification() -> None:
    """The XDG variables say where data and cache lie; without them it is below the home folder."""
    assert Places.of(None, {"HOME": "/h"}) == Places(Path("/h/.local/share/termcue"), Path("/h/.cache/termcue"))
    environment = {"HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c"}
    assert Places.of(None, environment) == Places(Path("/d/termcue"), Path("/c/termcue"))


def test_named_data_folder_wins() -> None:
    """--data-dir is taken as it is."""
    assert Places.of(Path("x"), {"HOME": "/h"}).data == Path("x")


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    """It is told, and not taken for a folder in which nothing is published; one that is not there yet is made later."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"file is no folder; give --data-dir"):
        Places.of(tmp_path / "file")
    assert Places.of(tmp_path / "new").data == tmp_path / "new"
