"""The members of a JSON document one by one: so each has its line, and a key that stands twice is not lost."""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from streaming.errors import GlossaryError

_BLANK = re.compile(r"[ \t\n\r]*")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# Python would read NaN and Infinity, which are no JSON, as numbers.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def members(text: str, name: str) -> Iterator[tuple[int, str | None, object]]:
    """The members of a top-level object (line, key, value) or list (line, None, value), in order.

    Raises:
        GlossaryError: `text` is not one JSON object or list.
    """
    position = _skip(text, 0)
    opening = text[position : position + 1]
    closing = {"{": "}", "[": "]"}.get(opening)
    if closing is None:
        raise _broken(text, position, name, "an object or a list is expected")
    position = _skip(text, position + 1)
    line, counted = 1, 0
    if text[position : position + 1] != closing:
        while True:
            line, counted = line + text.count("\n", counted, position), position
            key: str | None = None
            if opening == "{":
                found, position = _value(text, position, name)
                if not isinstance(found, str):
                    raise _broken(text, counted, name, "a key in quotes is expected")
                key = found
                position = _expect(text, position, name, ":")
            value, position = _value(text, position, name)
            yield line, key, value
            position = _skip(text, position)
            if text[position : position + 1] == closing:
                break
            position = _expect(text, position, name, ",")
    position = _skip(text, position + 1)
    if position != len(text):
        raise _broken(text, position, name, "text follows the end of the JSON value")


def decode_line(line: str) -> object:
    """The JSON value of one line.

    Raises:
        ValueError: it is no JSON, or holds NaN, Infinity or too long a number.
        RecursionError: it is nested too deeply.
    """
    value, end = _DECODER.raw_decode(line, _skip(line, 0))
    if _skip(line, end) != len(line):
        raise ValueError("text follows the end of the JSON value")
    return value


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, name: str, character: str) -> int:
    position = _skip(text, position)
    if text[position : position + 1] != character:
        raise _broken(text, position, name, f"{character!r} is expected")
    return _skip(text, position + 1)


def _value(text: str, position: int, name: str) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as cause:
        raise _broken(text, cause.pos, name, cause.msg) from cause
    except (RecursionError, ValueError) as cause:
        raise _broken(
            text, position, name, "the value is nested too deeply or holds NaN, Infinity or too long a number"
        ) from cause


def _broken(text: str, position: int, name: str, what: str) -> GlossaryError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return GlossaryError(f"{name} is not sound JSON at line {line}, column {column}: {what}; correct it there")
