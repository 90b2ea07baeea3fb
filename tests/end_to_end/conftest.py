import os
from pathlib import Path

import pytest

from tests.end_to_end.empty_machine import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give an empty machine with no settings of the developer's."""
    for name in os.environ:
        if name.startswith("TERMCUE_"):
            monkeypatch.delenv(name)
    found = Place(tmp_path / "files", tmp_path / "data", tmp_path / "cache")
    for folder in (found.folder, found.data, found.cache):
        folder.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(found.data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(found.cache))
    monkeypatch.chdir(found.folder)
    return found
