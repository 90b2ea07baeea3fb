"""A user's empty machine, a glossary to put on it, and how a command is refused there."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import run

SENTENCE = "termcue: error: "


@dataclass(frozen=True, slots=True)
class Place:
    """A user's empty machine: `folder` for files, `data` and `cache` where the program may write."""

    folder: Path
    data: Path
    cache: Path

    def written(self) -> set[str]:
        """Everything the program left, but its locks and its empty folders."""
        return {
            str(path.relative_to(root))
            for root in (self.data, self.cache)
            for path in root.rglob("*")
            if path.is_file() and "lock" not in path.name
        }


def refused(place: Place, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run, check that it was refused as it should be, and give the sentence."""
    before = place.written()
    code = run(arguments)
    printed = capsys.readouterr()
    assert code in (1, 2)
    assert printed.out == ""
    *_, last = printed.err.splitlines()
    assert last.startswith(SENTENCE)
    assert printed.err.count(SENTENCE) == 1
    assert "Traceback" not in printed.err
    assert place.written() == before
    return last.removeprefix(SENTENCE)


def good_glossary(place: Place) -> Path:
    """A glossary of two terms with translations."""
    path = place.folder / "terms.csv"
    path.write_text("term,de\nfellow Americans,amerikanische Mitbürger\ncountry,Land\n", encoding="utf-8")
    return path
