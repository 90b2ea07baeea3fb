"""Settings from `termcue.toml` and `TERMCUE_*` variables, laid under the flags of the command line.

The keys are the options of the commands themselves, so there is no second list of them to keep true:
`glossary = "talks"` at the top sets it for every command that has `--glossary`, the same under `[listen]`
for that one; `TERMCUE_GLOSSARY` and `TERMCUE_LISTEN_GLOSSARY` do the same and win over the file. What is
set for a command of commands (`[glossaries]`) is set for each of those that has the option. A key that no
command has is an error.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.types import IntParamType

from app.page_origin import PageOrigin
from streaming.errors import SettingError
from streaming.wire.typed_json import shown

CONFIG_FILE = "termcue.toml"
PREFIX = "TERMCUE_"
# Variables that belong to the command as a whole and are read by its own options.
GROUP_VARIABLES = frozenset({"TERMCUE_CONFIG", "TERMCUE_LOG_LEVEL"})
# What a shell opens for a command, and nothing at all: such pipes have somebody who writes, or end at once.
_OPENED = re.compile(r"/dev/(null|stdin|fd/\d+)|/proc/self/fd/\d+")
# Keys whose values are repeated in no message.
SECRETS = frozenset({"api_key"})

# Of a group: name of the command in it -> its defaults.
Defaults = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it was found: `command` is None for all commands; `origin` is told in errors."""

    command: str | None
    key: str
    value: object
    origin: str


def read_defaults(group: click.Group, config: Path | None, environment: Mapping[str, str]) -> Defaults:
    """Defaults for each command of `group`, in the shape of click's `default_map`.

    Args:
        group: the commands whose options are the keys.
        config: a TOML file; None looks for `termcue.toml` in the working folder.
        environment: the process's variables.

    Raises:
        SettingError: a file that is missing or not TOML, an unknown key, or a value of the wrong kind.
    """
    defaults: Defaults = {name: {} for name in group.commands}
    for settings in (_file_settings(group, config), _environment_settings(group, environment)):
        # A setting for one command wins over one for all, whatever their order.
        for setting in sorted(settings, key=lambda found: found.command is not None):
            _apply(group, setting, defaults)
    return defaults


def _file_settings(group: click.Group, config: Path | None) -> Iterator[Setting]:
    path = config or Path(CONFIG_FILE)
    if config is None and not path.exists():
        return
    commands = _by_key(group)
    for key, value in _parsed(path).items():
        command = commands.get(key.replace("-", "_"))
        if command is not None and isinstance(value, dict):
            for inner, setting in value.items():
                yield Setting(command, inner.replace("-", "_"), setting, f"{path}, [{key}] {inner}")
        else:
            yield Setting(None, key.replace("-", "_"), value, f"{path}, {key}")


def _parsed(path: Path) -> dict[str, object]:
    try:
        # Opening any other pipe would wait for a writer for ever, and a device never ends.
        if path.exists() and not path.is_file() and not path.is_dir() and not _OPENED.fullmatch(str(path)):
            raise SettingError(f"{path} is a pipe or device, not a regular file; save the settings to a file first.")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise SettingError(f"{path} does not exist; give another file to --config.") from error
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not TOML ({error}); correct it there.") from error
    except (RecursionError, ValueError) as error:
        raise SettingError(
            f"{path} nests too deeply or holds a number of thousands of digits; correct it there."
        ) from error


def _environment_settings(group: click.Group, environment: Mapping[str, str]) -> Iterator[Setting]:
    commands = _by_key(group)
    for variable, value in environment.items():
        # An empty variable is one that is not set, as for the group's own and for XDG_DATA_HOME.
        if not value or not variable.startswith(PREFIX) or variable in GROUP_VARIABLES:
            continue
        key = variable.removeprefix(PREFIX).lower()
        command = next((name for name in commands if key.startswith(f"{name}_")), None)
        yield Setting(command and commands[command], key.removeprefix(f"{command}_"), value, variable)


def _by_key(group: click.Group) -> dict[str, str]:
    """Name of a command as it stands in keys and variables (which have no hyphens) -> its name."""
    return {name.replace("-", "_"): name for name in group.commands}


def _apply(group: click.Group, setting: Setting, defaults: Defaults) -> None:
    names = list(group.commands) if setting.command is None else [setting.command]
    takers = [taker for name in names for taker in _takers(group.commands[name], defaults[name])]
    if not any(setting.key in options for options, _ in takers):
        raise SettingError(_unknown_key(setting, {key for options, _ in takers for key in options}))
    for options, place in takers:
        if setting.key in options:
            option = options[setting.key]
            place[option.name or setting.key] = _converted(option, setting)


def _takers(
    command: click.Command, defaults: dict[str, Any]
) -> Iterator[tuple[dict[str, click.Option], dict[str, Any]]]:
    """The options of a command and of those in it, each with the place of their defaults."""
    yield _options(command), defaults
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _takers(inner, defaults.setdefault(name, {}))


def _options(command: click.Command) -> dict[str, click.Option]:
    """Key (the long name of the option, with underscores) -> option."""
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {max(option.opts, key=len).lstrip("-").replace("-", "_"): option for option in options}


def _unknown_key(setting: Setting, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(setting.key, known, n=1)
    cure = f"did you mean {close[0].replace('_', '-')!r}?" if close else "see termcue COMMAND --help."
    where = "no command has this option" if setting.command is None else f"{setting.command} has no such option"
    return f"{setting.origin}: {where}; {cure}"


def _converted(option: click.Option, setting: Setting) -> object:
    """The value as the option's own type takes it. Raises SettingError naming where it stands."""
    values: list[object] = [setting.value]
    if option.multiple:
        if isinstance(setting.value, list):
            values = setting.value
        elif isinstance(setting.value, str):
            # A colon, which parts paths, is a part of each origin.
            separator = None if isinstance(option.type, PageOrigin) else os.pathsep
            values = list(setting.value.split(separator))
    try:
        converted = [_convert_one(option, value, setting) for value in values]
    except click.BadParameter as error:
        raise SettingError(f"{setting.origin}: {error.message}") from error
    return converted if option.multiple else converted[0]


def _convert_one(option: click.Option, value: object, setting: Setting) -> object:
    # TOML has types: a flag is true or false, a number is not text. Variables are always text.
    is_flag_value = isinstance(value, bool)
    is_scalar = isinstance(value, str | int | float) and not (isinstance(value, int) and value.bit_length() > 64)
    if not is_scalar or (is_flag_value != option.is_flag and not isinstance(value, str)):
        expected = "true or false" if option.is_flag else f"a value like --{setting.key.replace('_', '-')} takes"
        raise SettingError(f"{setting.origin}: {_brief(setting.key, value)} does not fit; give {expected}.")
    # click would cut the fraction off, and fails at what is infinite.
    if isinstance(value, float) and isinstance(option.type, IntParamType) and not _is_whole(value):
        raise SettingError(f"{setting.origin}: {value} is no whole number of at most 64 bits; give one.")
    return option.type.convert(value, option, None)


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) < 2.0**64


def _brief(key: str, value: object) -> str:
    if key in SECRETS:
        return "this value"
    # The digits of a very long integer cannot even be printed.
    return "a number beyond 64 bits" if isinstance(value, int) and value.bit_length() > 64 else shown(value)
