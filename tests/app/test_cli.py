"""The edge of the command line: exit codes, one sentence per error, help at once."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pytest

from app import cli as edge
from streaming.errors import AudioError, GlossaryError, SettingError

ROOT = Path(__file__).parents[2]
COMMANDS = (
    *("listen", "demo", "reindex", "glossaries", "serve", "stream", "replay", "doctor"),
    *("align", "synthesize", "merge", "validate-audio", "mine-negatives"),
    *("train", "pipeline", "evaluate", "calibrate", "export"),
)

STREAM = ("stream", "missing.wav", "--url", "ws://127.0.0.1:1", "--glossary", "x")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run where no settings file and no variable of the developer is found."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("TERMCUE_"):
            monkeypatch.delenv(name)


def _command_that(act: Callable[[], object]) -> click.Command:
    return click.Command("act", callback=act)


def _raise(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingError("threshold is 2; give 0..1"), 2, ""),
        (GlossaryError("terms.csv is empty; put one term on each line"), 1, ""),
        (AudioError("talk.wav does not exist"), 1, ""),
        (
            PermissionError(13, "Permission denied", "/data"),
            1,
            "/data: Permission denied; check that it is there and its permissions.",
        ),
        (OSError(36, "File name too long", "xxx"), 1, "xxx: File name too long; give a shorter name."),
    ],
)
def test_known_errors_are_one_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, said: str
) -> None:
    """What a user can cure is said in one line on standard error, nothing on standard output."""
    monkeypatch.setitem(edge.cli.commands, "act", _command_that(_raise(error)))
    assert edge.run(["act"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"termcue: error: {said or error}\n"


def test_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and no word beyond the line break after ^C."""
    monkeypatch.setitem(edge.cli.commands, "act", _command_that(_raise(KeyboardInterrupt())))
    assert edge.run(["act"]) == 130
    printed = capsys.readouterr()
    assert printed.out + printed.err.strip() == ""


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no user can cure keeps its traceback."""
    monkeypatch.setitem(edge.cli.commands, "act", _command_that(_raise(ZeroDivisionError())))
    with pytest.raises(ZeroDivisionError):
        edge.run(["act"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["listen"], "termcue listen sample"),
        (["listen", "talk.wav"], "--glossary terms.csv"),
        (["listen", "sample", "--threshold", "2"], "--threshold"),
        (["listen", "sample", "--threshold", "0.5", "--false-hints-per-hour", "5"], "exclude each other"),
        (["listen", "sample", "--profile", "loud"], "--profile"),
        (["stream", "talk.wav"], "termcue stream talk.wav --url"),
        ([*STREAM, "--threshold", ".9", "--false-hints-per-hour", "3"], "exclude each other; give one"),
        (["listen", "sample", "--glossary", "a.csv", "--glossary", "b"], "('a.csv', 'b'); give --glossary a.csv,b."),
        ([*STREAM, "--glossary", "y"], "--glossary is given more than once ('x', 'y'); give --glossary x,y."),
        (["reindex"], "GLOSSARY"),
        (["reindex", "terms.csv"], "--id"),
        (["serve", "--data-dir", "none"], "no glossary is published in none"),
        (["serve", "--glossary", "x", "--tls-cert", "c.pem"], "--tls-key"),
        (["serve", "--allow-origin", "example.org"], "; give https://example.org."),
        (["dance"], "dance"),
        (["doctor", "--data-dir", ""], "'' is no path"),
        (["doctor", "--model", ""], "'' is no path"),
        (["listen", "sample", "--threshold", "nan"], "not a finite number"),
    ],
)
def test_wrong_usage_ends_with_two(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Wrong usage says what would be right, on standard error, with exit code 2."""
    assert edge.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reindex", "terms.csv", "--id", "../up"], "'../up'"),
        (["reindex", "terms.csv", "--id", ""], "the glossary id ''"),
        (["serve", "--glossary", "x", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem does not exist"),
        (["serve", "--glossary", "x", "--api-keys-file", "keys.txt"], "keys.txt"),
        (["--config", "other.toml", "doctor"], "other.toml does not exist"),
    ],
)
def test_setting_that_cannot_be_used_ends_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A setting out of its range is wrong usage too, found before anything is built."""
    (tmp_path / "terms.csv").write_text("term\nkernel\n")
    assert edge.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_port_that_is_taken_is_told_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the model is loaded, which takes seconds."""
    monkeypatch.setattr("app.loaded_model.load_folder", lambda path: pytest.fail("the model was loaded first"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert edge.run(["serve", "--glossary", "x", "--port", str(port)]) == 2
    assert f"port {port}: Address already in use; choose another --port" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["terms.csv", "terms.csv/sessions"])
def test_folder_of_recordings_that_cannot_be_made_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Not with the first session, which would not be recorded then."""
    monkeypatch.setattr("app.loaded_model.load_folder", lambda path: pytest.fail("the model was loaded first"))
    (tmp_path / "terms.csv").write_text("term\nkernel\n")
    assert edge.run(["serve", "--glossary", "terms.csv", "--port", "0", "--record", name]) == 1
    told = capsys.readouterr().err
    assert f"sessions cannot be recorded in {name} (" in told
    assert "; give --record a folder that can be made and written to" in told


def test_settings_file_of_the_folder_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """termcue.toml in the working folder counts, and a mistake in it stops the command."""
    (tmp_path / "termcue.toml").write_text("[listen]\nglosary = 'x'\n")
    assert edge.run(["doctor"]) == 2
    assert (
        "termcue.toml, [listen] glosary: listen has no such option; did you mean 'glossary'?" in capsys.readouterr().err
    )


@pytest.mark.parametrize("arguments", [["listen", "missing.wav", "--glossary", "x"], STREAM])
def test_flag_beats_a_setting_that_contradicts_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    """--threshold on the command line silences false-hints-per-hour of the settings; two settings are an error."""
    monkeypatch.setenv("TERMCUE_FALSE_HINTS_PER_HOUR", "5")
    assert edge.run([*arguments, "--threshold", "0.5"]) == 1
    assert "missing.wav does not exist" in capsys.readouterr().err
    monkeypatch.setenv("TERMCUE_THRESHOLD", "0.5")
    assert edge.run(arguments) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Every command explains itself with an example that can be copied."""
    assert edge.run([command, "--help"]) == 0
    assert f"\n    termcue {command}" in capsys.readouterr().out


def test_commands_are_those_that_work() -> None:
    """No command is listed that does nothing yet."""
    assert sorted(edge.cli.commands) == sorted(COMMANDS)


def test_help_lists_every_command_in_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    """What listens and what trains stand apart, each in the order of use, with one column of names."""
    assert sorted(c.name or "" for section in edge.SECTIONS.values() for c in section) == sorted(COMMANDS)
    assert edge.run(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    live, training = lines.index("Live:"), lines.index("Training:")
    listed = [line for line in lines[live + 1 :] if line.startswith("  ") and line.split()[0] in COMMANDS]
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert lines.index(listed[7]) < training < lines.index(listed[8])
    assert len({len(line) - len(line[2:].partition(" ")[2].lstrip()) for line in listed}) == 1


@pytest.mark.parametrize("arguments", [[], ["listen"]])
def test_help_answers_at_once(arguments: list[str]) -> None:
    """--help takes under half a second and loads none of the heavy libraries."""
    program = (
        f"import sys; from app.cli import run; run([*{arguments}, '--help']);"
        "sys.exit(sorted({'numpy', 'onnxruntime', 'faiss', 'rich', 'pydantic'} & set(sys.modules)) or 0)"
    )
    fastest = 9.0
    for _ in range(3):
        started = time.monotonic()
        finished = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )
        fastest = min(fastest, time.monotonic() - started)
        assert finished.returncode == 0, finished.stderr
    assert fastest < 0.5


def test_reader_that_goes_away_is_no_error() -> None:
    """`termcue ... | head` ends without a word."""
    program = "from app.cli import cli, main; import click\n"
    program += (
        "cli.add_command(click.Command('act', callback=lambda: [click.echo('x' * 999) for _ in range(999)]))\nmain()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "act"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def _run_shell(program: str, redirection: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = f"import click; from app.cli import cli, main\n@cli.command()\ndef act(): {program}\nmain()"
    return subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" act {redirection}', sys.executable, program],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env=os.environ | environment,
    )


def test_closed_standard_output_is_told() -> None:
    """`>&-` leaves nowhere to put a hint, which is said before anything is heard."""
    finished = _run_shell("raise AssertionError", ">&-")
    assert finished.returncode == 1
    assert finished.stderr.startswith(b"termcue: error: standard output is closed;")


def test_full_disk_is_told() -> None:
    """Standard output that takes nothing more is named, with the cure and nothing else."""
    finished = _run_shell("click.echo('hint')", "> /dev/full")
    said = b"termcue: error: standard output: No space left on device; make room on that disk.\n"
    assert (finished.returncode, finished.stderr) == (1, said)


def test_no_locale_stops_a_hint() -> None:
    """Results are UTF-8 whatever the terminal says it takes."""
    finished = _run_shell("click.echo('Gem\\u00fct \\udcff')", "", PYTHONIOENCODING="ascii")
    assert (finished.returncode, finished.stdout) == (0, "Gemüt \\udcff\n".encode())
