"""Where this program keeps things: published glossaries, and indexes built on the fly."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streaming.errors import SettingError


@dataclass(frozen=True, slots=True)
class Places:
    """`data` holds `glossaries/`; `cache` may be emptied at any time."""

    data: Path
    cache: Path

    @classmethod
    def of(cls, data_dir: Path | None, environment: Mapping[str, str] = os.environ) -> Self:
        """The folders of the XDG base directory specification, `data_dir` instead of the first if given.

        Raises:
            SettingError: `data_dir` is something else than a folder.
        """
        if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
            raise SettingError(f"{data_dir} is no folder; give --data-dir the folder that glossaries are published in.")
        home = Path(environment.get("HOME") or Path.home())
        data = environment.get("XDG_DATA_HOME") or home / ".local" / "share"
        cache = environment.get("XDG_CACHE_HOME") or home / ".cache"
        return cls(data=data_dir or Path(data) / "termcue", cache=Path(cache) / "termcue")

    @property
    def indexes(self) -> Path:
        """Where the indexes of bare glossary files are kept."""
        return self.cache / "indexes"
