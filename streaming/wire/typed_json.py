"""Frozen dataclasses <-> JSON objects, led by the annotations: the codec under the wire protocol.

A field without a default is always written (None as null); a field with a default is left out when it is None. A field
has its own name on the wire, or the one that `wire_name` gives it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from streaming.errors import WireError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

_SHOWN_CHARACTERS = 60
_NAMES: dict[object, str] = {bool: "true or false", int: "an integer", float: "a finite number", str: "a string"}
_WIRE_NAME = "wire_name"
_Record = TypeVar("_Record")


def wire_name(name: str) -> Mapping[str, str]:
    """Metadata of a dataclass field that is called `name` on the wire: a word that Python keeps to itself."""
    return {_WIRE_NAME: name}


def written_name(field: "Field[Any]") -> str:
    """What a field of a dataclass is called on the wire."""
    name: str = field.metadata.get(_WIRE_NAME, field.name)
    return name


class FieldError(WireError):
    """A field that is unknown, missing or of another type; `field` is its dotted name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def shown(value: object) -> str:
    """`value` as it may stand in a message: quoted and short."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def write_record(record: object) -> JsonObject:
    """A dataclass instance -> JSON object. Raises TypeError for a value that JSON cannot carry."""
    if not is_dataclass(record) or isinstance(record, type):
        raise TypeError(f"{record!r} is not a dataclass instance")
    written: JsonObject = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if value is not None or _is_required(field):
            written[written_name(field)] = _write(value)
    return written


def read_record(kind: type[_Record], value: Mapping[str, JsonValue], *, strict: bool, path: str = "") -> _Record:
    """A JSON object -> an instance of the dataclass `kind`.

    Args:
        kind: the dataclass; its annotations may be bool, int, float, str, another dataclass, `X | None`,
            `tuple[X, ...]` and tuples of fixed length such as `tuple[str, float]`.
        value: the object.
        strict: whether a field that `kind` does not have is an error; otherwise it is passed over.
        path: prefix of field names in errors.

    Raises:
        FieldError: a field is unknown (when strict), missing, or not of its type.
    """
    hints, required, names = _shape(kind)
    for name in value:
        if strict and name not in hints:
            known = ", ".join(hints) or "none"
            raise FieldError(path + name, f"there is no field {shown(path + name)}; the fields here are: {known}")
    for name in required:
        if name not in value:
            raise FieldError(path + name, f"the field {shown(path + name)} is missing")
    given = [name for name in hints if name in value]
    return kind(**{names[name]: _read(hints[name], value[name], path + name, strict) for name in given})


def _is_required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _shape(kind: type) -> tuple[dict[str, object], tuple[str, ...], dict[str, str]]:
    """By names on the wire: the annotations, the fields that have no default, and the names in Python."""
    hints = get_type_hints(kind)
    return (
        {written_name(field): hints[field.name] for field in fields(kind)},
        tuple(written_name(field) for field in fields(kind) if _is_required(field)),
        {written_name(field): field.name for field in fields(kind)},
    )


def _write(value: object) -> JsonValue:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_write(element) for element in value]
    return write_record(value)


def _read(kind: object, value: JsonValue, path: str, strict: bool) -> object:
    if get_origin(kind) in (Union, UnionType):
        if value is None and NoneType in get_args(kind):
            return None
        (kind,) = (option for option in get_args(kind) if option is not NoneType)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise FieldError(path, f"{path} must be an array, not {shown(value)}")
        elements = _elements(get_args(kind), value, path)
        return tuple(_read(elements[index], item, f"{path}[{index}]", strict) for index, item in enumerate(value))
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            raise FieldError(path, f"{path} must be an object, not {shown(value)}")
        return read_record(kind, value, strict=strict, path=f"{path}.")
    return _read_scalar(kind, value, path)


def _elements(arguments: tuple[object, ...], value: "list[JsonValue]", path: str) -> Sequence[object]:
    """The annotation of each element of a tuple."""
    if arguments[-1] is Ellipsis:
        return [arguments[0]] * len(value)
    if len(value) != len(arguments):
        raise FieldError(path, f"{path} must have {len(arguments)} elements, not {len(value)}")
    return arguments


def _read_scalar(kind: object, value: JsonValue, path: str) -> bool | int | float | str:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    # `type() is` and not isinstance: True is an int, but not an integer on the wire.
    elif isinstance(value, bool | int | str) and type(value) is kind:
        return value
    raise FieldError(path, f"{path} must be {_NAMES[kind]}, not {shown(value)}")
