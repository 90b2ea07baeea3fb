"""The dataclasses of the wire protocol, looked into: JSON schemas and tables of their fields."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from streaming.wire.client_messages import ClientMessage
from streaming.wire.messages import ServerMessage
from streaming.wire.typed_json import JsonObject, JsonValue, written_name

_SCALARS: dict[object, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class WireField:
    """A field as it is on the wire.

    Attributes:
        name: its name there.
        annotation: its type in Python, without None for a field that is left out in its place.
        is_required: whether it is always there.
        default: what it is where it is left out; None for nothing.
    """

    name: str
    annotation: object
    is_required: bool
    default: bool | int | float | str | None = None


def wire_fields(kind: type) -> list[WireField]:
    """The fields of a dataclass, those that are always there first."""
    if not is_dataclass(kind):
        raise TypeError(f"{kind} is not a dataclass")
    hints = get_type_hints(kind)
    found = []
    for field in fields(kind):
        is_required = field.default is MISSING and field.default_factory is MISSING
        annotation = hints[field.name] if is_required else _without_none(hints[field.name])
        default = None if field.default is MISSING else field.default
        found.append(WireField(written_name(field), annotation, is_required, default))
    return sorted(found, key=lambda field: not field.is_required)


def parts_of(kinds: Iterable[type]) -> list[type]:
    """The dataclasses inside those of `kinds`, at any depth, each once, in the order in which they are met."""
    found: dict[type, None] = {}
    for kind in kinds:
        for field in wire_fields(kind):
            for part in _records(field.annotation):
                found.setdefault(part)
                found.update(dict.fromkeys(parts_of([part])))
    return list(found)


def schema_of(kind: type) -> JsonObject:
    """The JSON schema (draft 7) of a message or of a part of one; parts are references to their own schemas.

    A server refuses fields that it does not know; a client passes over them, since newer servers may send more.
    """
    properties: dict[str, JsonValue] = {}
    required: list[JsonValue] = []
    if issubclass(kind, ServerMessage | ClientMessage):
        properties["type"] = {"const": kind.TYPE}
        required.append("type")
    for field in wire_fields(kind):
        schema = _schema(field.annotation)
        if field.default is not None:
            schema["default"] = field.default
        properties[field.name] = schema
        if field.is_required:
            required.append(field.name)
    return {
        "type": "object",
        "description": description_of(kind),
        "properties": properties,
        "required": required,
        "additionalProperties": not issubclass(kind, ClientMessage),
    }


def description_of(kind: type) -> str:
    """The docstring, its paragraphs on one line each."""
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def type_words(annotation: object) -> str:
    """A type for a reader: `string or null`, `array of [string, number]`, `GlossaryPart`."""
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(type_words(option) for option in get_args(annotation))
    if get_origin(annotation) is tuple:
        elements = get_args(annotation)
        if elements[-1] is Ellipsis:
            return f"array of {type_words(elements[0])}"
        return f"[{', '.join(map(type_words, elements))}]"
    if annotation is NoneType:
        return "null"
    return annotation.__name__ if isinstance(annotation, type) and is_dataclass(annotation) else _SCALARS[annotation]


def _schema(annotation: object) -> JsonObject:
    if get_origin(annotation) in (Union, UnionType):
        return {"anyOf": [{"type": "null"} if o is NoneType else _schema(o) for o in get_args(annotation)]}
    if get_origin(annotation) is tuple:
        elements = get_args(annotation)
        if elements[-1] is Ellipsis:
            return {"type": "array", "items": _schema(elements[0])}
        listed: list[JsonValue] = [_schema(element) for element in elements]
        return {"type": "array", "items": listed, "minItems": len(listed), "additionalItems": False}
    if isinstance(annotation, type) and is_dataclass(annotation):
        return {"$ref": f"#/components/schemas/{annotation.__name__}"}
    return {"type": _SCALARS[annotation]}


def _without_none(annotation: Any) -> object:  # noqa: ANN401
    options = [option for option in get_args(annotation) if option is not NoneType]
    return options[0] if get_origin(annotation) in (Union, UnionType) and len(options) == 1 else annotation


def _records(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _records(inner)
