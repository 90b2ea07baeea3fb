"""The JSON glossaries of the seed: an object keyed by term or a list of objects or strings; alias files.

The top level is walked member by member: so each row has its line, and a key that stands twice is not lost.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from index_builder.formats.columns import Languages, columns_of, language_code, split_list, split_pronunciations
from index_builder.formats.rows import AliasRow, GlossaryRow, ParsedGlossary, Place, RejectedRow, reject
from streaming.errors import GlossaryError

_BLANK = re.compile(r"[ \t\n\r]*")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# Python would read NaN and Infinity, which are no JSON, as numbers.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_json(text: str, name: str, languages: Languages) -> ParsedGlossary:
    """Read `glossary_filtered.json` in either shape.

    Raises:
        GlossaryError: it is not JSON; names line and column.
    """
    rows: list[GlossaryRow] = []
    rejected: list[RejectedRow] = []
    for line, key, value in members(text, name):
        place = Place(name, line)
        if isinstance(value, str) and key is None:
            rows.append(GlossaryRow(place, value.strip()))
        elif isinstance(value, str) and key is not None:
            rows.append(GlossaryRow(place, key.strip(), {languages.target: value.strip()} if value.strip() else {}))
        elif isinstance(value, dict):
            rows.append(_row(place, key, value, languages))
        else:
            rejected.append(
                reject(
                    place,
                    key if key is not None else json.dumps(value),
                    f"its value is a {_kind(value)}, not an object",
                )
            )
    return ParsedGlossary(name, tuple(rows), (), tuple(rejected))


def parse_aliases(text: str, name: str) -> tuple[tuple[AliasRow, ...], tuple[RejectedRow, ...]]:
    """Read `alt2main.json`: an object of alias -> main term.

    Raises:
        GlossaryError: it is not a JSON object.
    """
    rows: list[AliasRow] = []
    rejected: list[RejectedRow] = []
    for line, key, value in members(text, name):
        if key is None:
            raise GlossaryError(f'{name} is a JSON list; an alias file is an object of "alias": "main term"')
        if isinstance(value, str) and value.strip():
            rows.append(AliasRow(Place(name, line), key.strip(), value.strip()))
        else:
            rejected.append(reject(Place(name, line), key, f"its main term is a {_kind(value)}, not a text"))
    return tuple(rows), tuple(rejected)


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


def _row(place: Place, key: str | None, value: Mapping[str, object], languages: Languages) -> GlossaryRow:
    term, note, row_id = "", "", ""
    translations: dict[str, str] = {}
    aliases: list[str] = []
    pronunciations: list[str] = []
    for column, content in zip(columns_of(list(value), languages), value.values(), strict=True):
        if column is None or content is None:
            continue
        if column.role == "term":
            term = term or _text(content)
        elif column.role == "translation":
            translations |= _translations(content, column.language)
        elif column.role == "aliases":
            aliases += split_list(content) if isinstance(content, str) else _texts(content)
        elif column.role == "pronunciations":
            pronunciations += split_pronunciations(content) if isinstance(content, str) else _texts(content)
        elif column.role == "id":
            row_id = row_id or _text(content)
        else:
            note = note or _text(content)
    key = (key or "").strip()
    return GlossaryRow(place, term or key, translations, tuple(aliases), tuple(pronunciations), row_id, note, key)


def _translations(content: object, language: str) -> dict[str, str]:
    """One translation, or an object of language -> translation."""
    if isinstance(content, Mapping):
        return {
            language_code(str(code)) or str(code): text for code, value in content.items() if (text := _text(value))
        }
    text = _text(content)
    return {language: text} if text else {}


def _text(content: object) -> str:
    """The first usable text of a value that should be one."""
    if isinstance(content, list):
        return next((text for item in content if (text := _text(item))), "")
    is_scalar = isinstance(content, str | int | float) and not isinstance(content, bool)
    if isinstance(content, float) and not math.isfinite(content):
        return ""
    return str(content).strip() if is_scalar else ""


def _texts(content: object) -> list[str]:
    return [text for item in content if (text := _text(item))] if isinstance(content, list) else []


def _kind(value: object) -> str:
    kinds: dict[type, str] = {dict: "object", list: "list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "number")


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
