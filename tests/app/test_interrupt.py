"""Ctrl-C ends the audio, not the work on it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import is_server
from app.interrupt import UntilInterrupt
from streaming.audio import AudioFormat
from streaming.testing import ListSource

FORMAT = AudioFormat()
ROOT = Path(__file__).parents[2]


class InterruptedSource(ListSource):
    """A source during whose second chunk the user presses Ctrl-C."""

    def chunks(self) -> Iterator[bytes]:
        """One chunk, then the signal where more was waited for."""
        yield b"first"
        signal.raise_signal(signal.SIGINT)
        yield b"never"


def test_source_without_interrupt_is_unchanged() -> None:
    """All chunks come, and Ctrl-C means again what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    source = UntilInterrupt(ListSource(FORMAT, [b"a", b"b"]))
    assert source.format == FORMAT
    assert list(source.chunks()) == [b"a", b"b"]
    assert not source.is_interrupted
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupt_of_a_wait_ends_the_source() -> None:
    """While audio is waited for, Ctrl-C is the end of it."""
    before = signal.getsignal(signal.SIGINT)
    source = UntilInterrupt(InterruptedSource(FORMAT, []))
    assert list(source.chunks()) == [b"first"]
    assert source.is_interrupted
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupt_of_the_work_lets_it_end() -> None:
    """While a chunk is worked on, Ctrl-C breaks nothing off; no further chunk comes."""
    source = UntilInterrupt(ListSource(FORMAT, [b"a", b"b"]))
    heard = []
    for chunk in source.chunks():
        signal.raise_signal(signal.SIGINT)
        heard.append(chunk)
    assert heard == [b"a"]
    assert source.is_interrupted


def test_second_interrupt_stops_at_once() -> None:
    """Whoever presses Ctrl-C again does not want to wait."""
    chunks = UntilInterrupt(ListSource(FORMAT, [b"a", b"b"])).chunks()
    next(chunks)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert list(chunks) == []


def test_an_interrupt_while_the_command_line_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    """The first 0.3 s of every command; 130 is what a shell expects of Ctrl-C."""
    # A module that is loaded early sends the signal, as an impatient user would.
    (tmp_path / "click.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    finished = subprocess.run(
        [sys.executable, "-c", "from app.__main__ import main; main()"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert (finished.returncode, finished.stderr) == (130, b"")


@pytest.mark.parametrize(("command", "code"), [("serve", 3), ("demo", 3), ("listen", -signal.SIGHUP)])
def test_a_hangup_while_the_command_line_is_loaded_ends_no_server(tmp_path: Path, command: str, code: int) -> None:
    """A service manager that asks for keys to be read again may be early; other commands end as always."""
    (tmp_path / "click.py").write_text("import signal\nsignal.raise_signal(signal.SIGHUP)\nraise SystemExit(3)\n")
    finished = subprocess.run(
        [sys.executable, "-c", "from app.__main__ import main; main()", command],
        cwd=ROOT,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert finished.returncode == code


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("serve --glossary talks", True),
        ("--config t.toml --log-level debug demo", True),
        ("--config=t.toml serve", True),
        ("listen - --glossary demo", False),
        ("--config serve listen demo", False),
        ("--help", False),
        ("", False),
    ],
)
def test_only_what_serves_is_a_server(line: str, expected: bool) -> None:
    """A glossary may be called as a command is."""
    assert is_server(line.split()) == expected


def test_the_command_is_there_as_a_module_too() -> None:
    """`python -m app --version`, where scripts are not on the path."""
    finished = subprocess.run(
        [sys.executable, "-m", "app", "--version"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert finished.returncode == 0
    assert finished.stdout.startswith("termcue ")
