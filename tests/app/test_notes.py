"""Sentences on standard error."""

import io
import sys

import pytest

from app.notes import counted, note


class _Full(io.StringIO):
    """A disk without room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_note_is_one_line_with_the_name_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, where it is in the way of no result."""
    note("1 hint")
    assert capsys.readouterr() == ("", "termcue: 1 hint\n")


def test_what_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results go to standard output, which may be in order."""
    monkeypatch.setattr(sys, "stderr", _Full())
    note("nobody reads this")


@pytest.mark.parametrize(("number", "text"), [(0, "0 hints"), (1, "1 hint"), (2, "2 hints")])
def test_things_are_counted_in_words(number: int, text: str) -> None:
    """With the plural that goes with the number."""
    assert counted(number, "hint") == text
