"""Settings of a training as JSON and back, single settings replaced by their dotted names, and two runs compared."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from streaming.errors import SettingError
from streaming.wire.typed_json import shown
from training.loop.config import TrainConfig
from training.loop.limits import LIMITS

_Part = TypeVar("_Part")


def written(part: object) -> Any:  # noqa: ANN401 - JSON
    """A settings dataclass -> JSON value; paths are written with slashes."""
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        return {field.name: written(getattr(part, field.name)) for field in dataclasses.fields(part)}
    if isinstance(part, tuple):
        return [written(value) for value in part]
    return part.as_posix() if isinstance(part, Path) else part


def read(value: object) -> TrainConfig:
    """JSON value -> settings; what is left out has its default.

    Raises:
        SettingError: an unknown setting, or a value of another kind.
    """
    return _part(TrainConfig, value, "")


def read_file(path: Path) -> TrainConfig:
    """Settings from a JSON file.

    Raises:
        SettingError: not readable, not JSON, not settings, or beyond their limits.
    """
    try:
        config = read(json.loads(path.read_text("utf-8")))
        check(config)
        return config
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{path}: the settings of the training cannot be read ({error}); write them anew."
        ) from error
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error


def check(config: TrainConfig) -> None:
    """Whether every number is one that a training can work with: the limits are those of the command line.

    Raises:
        SettingError: naming the setting, its value and its limits.
    """
    for name, value in flat(config).items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise SettingError(f"the setting {name} is {number}; give a finite number.")
            limits = LIMITS.get(name)
            if limits is not None and number is not None and number not in limits:
                raise SettingError(f"the setting {name} is {number}; give a number {limits}.")


def flat(config: TrainConfig) -> dict[str, Any]:
    """Dotted name -> JSON value of every single setting; a part that is None is one setting."""
    found: dict[str, Any] = {}

    def add(part: Any, prefix: str) -> None:  # noqa: ANN401 - JSON
        for name, value in part.items():
            if isinstance(value, dict):
                add(value, f"{prefix}{name}.")
            else:
                found[prefix + name] = value

    add(written(config), "")
    return found


def replaced(config: TrainConfig, changes: Mapping[str, object]) -> TrainConfig:
    """The settings with some replaced, named as `run.batch_size`; `hard_negatives` as a whole or by its parts."""
    for name, value in changes.items():
        part, _, rest = name.partition(".")
        config = dataclasses.replace(config, **{part: _with(getattr(config, part), rest, value)})
    return config


def _with(part: Any, rest: str, value: object) -> Any:  # noqa: ANN401 - any settings dataclass
    return dataclasses.replace(part, **{rest: value}) if rest else value


def _part(kind: type[_Part], value: object, path: str) -> _Part:
    if not isinstance(value, dict):
        raise SettingError(f"{path or 'the settings'} must be an object, not {shown(value)}.")
    hints = get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise SettingError(f"there is no setting {path}{name}; the settings here are: {', '.join(hints)}.")
    return kind(**{name: _value(hints[name], item, path + name) for name, item in value.items()})


def _value(kind: Any, value: Any, path: str) -> object:  # noqa: ANN401 - annotations and JSON
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (option for option in arguments if option is not types.NoneType)
        return _value(kind, value, path)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, path) for item in value)
    if origin is Literal and value in arguments:
        return value
    if dataclasses.is_dataclass(kind):
        return _part(typing.cast("type", kind), value, f"{path}.")
    return _scalar(kind, value, path)


def _scalar(kind: object, value: object, path: str) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) in (int, float):
        return float(typing.cast("float", value))
    if kind in (bool, int, str) and type(value) is kind:
        return value
    raise SettingError(f"the setting {path} must be {getattr(kind, '__name__', kind)}, not {shown(value)}.")
