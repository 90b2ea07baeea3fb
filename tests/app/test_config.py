"""Settings from file and environment: the keys are the options, and nothing unknown passes."""

import os
from pathlib import Path

import click
import pytest

from app.cli import cli
from app.config import read_defaults
from streaming.errors import SettingError


def _read(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> dict[str, dict[str, object]]:
    path = tmp_path / "termcue.toml"
    path.write_text(text)
    return read_defaults(cli, path, environment or {})


def test_top_level_key_reaches_every_command_that_has_it(tmp_path: Path) -> None:
    """A key at the top of the file is a default of each command with that option."""
    defaults = _read(tmp_path, 'profile = "mt"\n')
    assert defaults["listen"] == {"profile": "mt"}
    assert defaults["stream"] == {"profile": "mt"}
    assert defaults["reindex"] == {}


def test_table_of_a_command_wins_over_the_top(tmp_path: Path) -> None:
    """What is said for one command is stronger than what is said for all."""
    defaults = _read(tmp_path, 'profile = "mt"\n[listen]\nprofile = "booth"\nfalse-hints-per-hour = 12\n')
    assert defaults["listen"] == {"profile": "booth", "false_hints_per_hour": 12.0}


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Variables are stronger than the file, for all commands and for one."""
    environment = {
        "TERMCUE_PROFILE": "mt",
        "TERMCUE_LISTEN_THRESHOLD": "0.5",
        "PATH": "x",
        "TERMCUE_LOG_LEVEL": "debug",
    }
    defaults = _read(tmp_path, 'profile = "booth"\n', environment)
    assert defaults["listen"] == {"profile": "mt", "threshold": 0.5}
    assert defaults["stream"]["profile"] == "mt"


def test_origins_are_parted_by_blanks(tmp_path: Path) -> None:
    """A colon parts paths, and stands in each origin."""
    pages = ["https://example.org", "http://127.0.0.1:8766"]
    assert _read(tmp_path, f'allow-origin = "{pages[0]}"\n')["serve"] == {"allow_origin": pages[:1]}
    assert _read(tmp_path, "", {"TERMCUE_ALLOW_ORIGIN": " ".join(pages)})["serve"] == {"allow_origin": pages}


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ('data-dir = "d"\n', {}),
        ('[glossaries]\ndata-dir = "d"\n', {}),
        ('data-dir = "x"\n[glossaries]\ndata-dir = "d"\n', {}),
        ('[glossaries]\ndata-dir = "x"\n', {"TERMCUE_DATA_DIR": "d"}),
        ('data-dir = "x"\n', {"TERMCUE_GLOSSARIES_DATA_DIR": "d"}),
    ],
)
def test_setting_reaches_the_commands_of_a_group(tmp_path: Path, text: str, environment: dict[str, str]) -> None:
    """What is set for all, or for the group, is a default of each command of the group with that option."""
    defaults = _read(tmp_path, text, environment)["glossaries"]
    names = ("list", "show", "rollback", "prune", "diff", "export")
    assert defaults == {name: {"data_dir": Path("d")} for name in names}


def test_setting_of_a_group_is_for_those_that_have_the_option(tmp_path: Path) -> None:
    """An option of one command of the group is set for that one; one of none is an error."""
    defaults = _read(tmp_path, "[glossaries]\nkeep = 3\n")["glossaries"]
    assert (defaults["prune"], defaults["list"]) == ({"keep": 3}, {})
    with pytest.raises(SettingError, match=r"\[glossaries\] kep: glossaries has no such option; did you mean 'keep'"):
        _read(tmp_path, "[glossaries]\nkep = 3\n")


def test_repeatable_option_takes_a_list_or_one_value(tmp_path: Path) -> None:
    """An option that may be given several times takes an array, and a single value as an array of one."""
    assert _read(tmp_path, '[serve]\nglossary = ["a", "b"]\n')["serve"] == {"glossary": ["a", "b"]}
    assert _read(tmp_path, 'glossary = "a"\n')["serve"] == {"glossary": ["a"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[listen]\ntreshold = 0.5\n", r"\[listen\] treshold: .*did you mean 'threshold'\?"),
        ("colour = 1\n", "colour: no command has this option"),
        ("[dance]\nx = 1\n", "dance: no command has this option"),
        ("[listen]\nthreshold = 1.5\n", r"\[listen\] threshold: 1\.5 is not in the range"),
        ("[listen]\nthreshold = true\n", "threshold: True does not fit"),
        ("[listen]\nrealtime = 1\n", "realtime: 1 does not fit; give true or false"),
        ("[listen\n", "is not TOML"),
        ("threshold = 1979-05-27\n", r"threshold: datetime\.date\(1979, 5, 27\) does not fit"),
        ("threshold = nan\n", "threshold: nan is not a finite number"),
        ("threshold = " + "[" * 100_000, "nests too deeply"),
        ("threshold = " + "1" * 5_000, "thousands of digits"),
        ("threshold = 0x" + "f" * 5_000, "a number beyond 64 bits does not fit"),
        ("[serve]\nport = inf\n", r"\[serve\] port: inf is no whole number"),
        ("sample-rate = -1e400\n", "sample-rate: -inf is no whole number"),
        ("[serve]\nport = nan\n", "port: nan is no whole number"),
        ("[serve]\nport = 8765.5\n", "port: 8765.5 is no whole number"),
        ("[serve]\nmax-sessions = 1e300\n", r"max-sessions: 1e\+300 is no whole number of at most 64 bits"),
        ("allow-origin = 'example.org'\n", "allow-origin: 'example.org' is not what .*; give https://example.org"),
        ("allow-origin = ['*']\n", r"allow-origin: '\*' is no origin"),
        ("data-dir = 5\n", "data-dir: 5 is no path"),
        ("data-dir = ''\n", "data-dir: '' is no path"),
    ],
)
def test_unknown_key_or_wrong_value_names_its_place(tmp_path: Path, text: str, said: str) -> None:
    """An error in the file says where it stands and what would be right."""
    with pytest.raises(SettingError, match=said):
        _read(tmp_path, text)


@pytest.mark.parametrize("name", ["mine-negatives", "validate-audio"])
def test_command_with_a_hyphen_has_variables(tmp_path: Path, name: str) -> None:
    """A variable has no hyphens; a table of the file may be written either way."""
    key = name.replace("-", "_")
    for text, environment in (
        ("", {f"TERMCUE_{key.upper()}_JSON": "true"}),
        (f"[{name}]\njson = true\n", {}),
        (f"[{key}]\njson = true\n", {}),
    ):
        assert _read(tmp_path, text, environment)[name] == {"as_json": True}


def test_pipe_is_no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may ever write into a pipe of a name; one that the shell has opened is read, and so is /dev/null."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("termcue.toml")
    for config in (None, tmp_path / "termcue.toml"):
        with pytest.raises(SettingError, match=r"termcue\.toml is a pipe or device, not a regular file; save"):
            read_defaults(cli, config, {})
    assert read_defaults(cli, Path("/dev/null"), {})["listen"] == {}
    reading, writing = os.pipe()
    os.write(writing, b'profile = "mt"\n')
    os.close(writing)
    try:
        assert read_defaults(cli, Path(f"/dev/fd/{reading}"), {})["listen"] == {"profile": "mt"}
    finally:
        os.close(reading)


def test_unknown_variable_is_an_error(tmp_path: Path) -> None:
    """A misspelt variable does not pass in silence."""
    with pytest.raises(SettingError, match=r"TERMCUE_LISTEN_PROFIL.*'profile'"):
        _read(tmp_path, "", {"TERMCUE_LISTEN_PROFIL": "mt"})


def test_key_of_the_wrong_kind_is_not_repeated(tmp_path: Path) -> None:
    """An API key stands in no message, even where it is written wrongly."""
    with pytest.raises(SettingError, match="api-key: this value does not fit") as refused:
        _read(tmp_path, 'api-key = ["sesame"]\n')
    assert "sesame" not in str(refused.value)


def test_empty_variable_is_not_set(tmp_path: Path) -> None:
    """An empty path does not mean the working folder; nan is no threshold there either."""
    empty = {"TERMCUE_DATA_DIR": "", "TERMCUE_MODEL": ""}
    assert _read(tmp_path, "", empty) == {name: {} for name in cli.commands}
    with pytest.raises(SettingError, match="TERMCUE_THRESHOLD: 'nan' is not a finite number"):
        _read(tmp_path, "", {"TERMCUE_THRESHOLD": "nan"})


def test_missing_file_is_an_error_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """termcue.toml is optional; a file named by the user is not."""
    monkeypatch.chdir(tmp_path)
    assert read_defaults(cli, None, {}) == {name: {} for name in cli.commands}
    with pytest.raises(SettingError, match="does not exist"):
        read_defaults(cli, tmp_path / "other.toml", {})


def test_flag_wins_over_every_default(tmp_path: Path) -> None:
    """The command line has the last word."""
    context = cli.commands["listen"].make_context(
        "listen", ["sample", "--profile", "booth"], default_map=_read(tmp_path, 'profile = "mt"\n')["listen"]
    )
    with context:
        assert context.params["profile"] == "booth"
        assert context.get_parameter_source("profile") is click.core.ParameterSource.COMMANDLINE
