"""Rows of JSON: an object keyed by term, a list of objects or texts, one object a line; and the seed's alias files."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping

from index_builder.formats.cell_values import split_list, split_pronunciations
from index_builder.formats.chosen_columns import Columns
from index_builder.formats.columns import Column, column_of, columns_of
from index_builder.formats.json_members import decode_line, members
from index_builder.formats.languages import Languages, as_code
from index_builder.formats.row_draft import RowDraft
from index_builder.formats.rows import (
    AliasRow,
    GlossaryRow,
    GlossaryWarning,
    ParsedGlossary,
    Place,
    RejectedRow,
    reject,
    shorten,
)
from streaming.errors import GlossaryError

# Python cannot follow a list in lists without end.
_MAX_DEPTH = 8
# Of a term all are names of it, and what is kept for the reader is read whole; of anything else one counts.
_ALL_COUNT = frozenset({"term", "aliases", "pronunciations"})
_FOR_THE_READER = frozenset({"note", "domain"})
_LINES_SUFFIXES = (".jsonl", ".ndjson")


def parse_json(text: str, name: str, languages: Languages, columns: Columns) -> ParsedGlossary:
    """Read `glossary_filtered.json` in either shape.

    Raises:
        GlossaryError: it is not JSON; names line and column.
    """
    return _parse(members(text, name), [], name, languages, columns, "JSON")


def is_json_lines(text: str, suffix: str, languages: Languages) -> bool:
    """Whether a JSON text holds one object a line, and not one value over all lines."""
    if suffix.lower() in _LINES_SUFFIXES:
        return True
    lines = (line for line in text.split("\n") if line.strip())
    try:
        first = decode_line(next(lines, ""))
    except (ValueError, RecursionError):
        return False
    if not isinstance(first, dict):
        return False
    # A single object on one line may be keyed by term, unless all of its keys are names of fields.
    return next(lines, None) is not None or _is_entry(first, languages)


def parse_json_lines(text: str, name: str, languages: Languages, columns: Columns) -> ParsedGlossary:
    """Read one JSON object (or text) a line; a line that is no JSON is rejected, and the next is read."""
    rejected: list[RejectedRow] = []

    def values() -> Iterator[tuple[int, str | None, object]]:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                yield number, None, decode_line(line)
            except (ValueError, RecursionError) as cause:
                reason = cause.msg if isinstance(cause, json.JSONDecodeError) else "nested too deeply, NaN or Infinity"
                rejected.append(reject(Place(name, number), line, f"the line is no JSON: {reason}"))

    return _parse(values(), rejected, name, languages, columns, "JSON, one object a line")


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


def _parse(
    values: Iterable[tuple[int, str | None, object]],
    rejected: list[RejectedRow],
    name: str,
    languages: Languages,
    columns: Columns,
    reading: str,
) -> ParsedGlossary:
    rows: list[GlossaryRow] = []
    warnings: list[GlossaryWarning] = []
    for line, key, value in values:
        place = Place(name, line)
        if isinstance(value, str):
            rows.append(_text_row(place, key, value, languages))
        elif isinstance(value, dict):
            rows.append(_object_row(place, key, value, languages, columns, warnings))
        else:
            shown = key if key is not None else json.dumps(value)
            rejected.append(reject(place, shown, f"its value is a {_kind(value)}, not an object"))
    return ParsedGlossary(name, tuple(rows), (), tuple(rejected), tuple(warnings), reading)


def _text_row(place: Place, key: str | None, value: str, languages: Languages) -> GlossaryRow:
    """A member "term": "translation" of an object, or a term in a list."""
    text = value.strip()
    if key is None:
        return GlossaryRow(place, text)
    return GlossaryRow(place, key.strip(), {languages.target: text} if text else {})


def _object_row(
    place: Place,
    key: str | None,
    value: Mapping[str, object],
    languages: Languages,
    columns: Columns,
    warnings: list[GlossaryWarning],
) -> GlossaryRow:
    names = list(value)
    meanings = columns_of(names, languages)
    # Fields have no order, so they are chosen by name only, where the object has them.
    if columns.named_in(names):
        meanings = columns.apply(meanings, names, languages, f"{place.file}, line {place.line}")
    draft = RowDraft(place, warnings)
    for column, texts in _texts_of(meanings, value.values()).items():
        if len(texts) > 1 and column.role in _FOR_THE_READER:
            draft.add(column, ["; ".join(dict.fromkeys(texts))])
            continue
        draft.add(column, texts)
        if column.role not in _ALL_COUNT and (others := [text for text in dict.fromkeys(texts) if text != texts[0]]):
            warnings.append(_second_value(place, column, texts[0], others))
    return draft.row((key or "").strip())


def _texts_of(meanings: Iterable[Column | None], contents: Iterable[object]) -> dict[Column, list[str]]:
    """What an object says of each column, in all of its members that mean the same."""
    found: dict[Column, list[str]] = {}
    for column, content in zip(meanings, contents, strict=True):
        if column is None:
            continue
        if column.role == "translation" and isinstance(content, Mapping):
            for language, text in content.items():
                found.setdefault(Column("translation", as_code(str(language))), []).extend(_texts(text))
        else:
            found.setdefault(column, []).extend(_values(content, column))
    return found


def _second_value(place: Place, column: Column, first: str, others: Iterable[str]) -> GlossaryWarning:
    what = f"{column.role} into {column.language}" if column.language else column.role
    message = (
        f"{place.file}, line {place.line}: of several values of {what} the first, {shorten(first)!r}, counts, and "
        f"{shorten('; '.join(others))!r} is ignored; write one"
    )
    return GlossaryWarning("", "second_value", message)


def _values(content: object, column: Column) -> list[str]:
    if isinstance(content, str) and column.role == "aliases":
        return list(split_list(content))
    if isinstance(content, str) and column.role == "pronunciations":
        return list(split_pronunciations(content))
    if isinstance(content, bool):
        return [str(content).lower()] if column.role == "do_not_hint" else []
    return _texts(content)


def _texts(content: object, depth: int = 0) -> list[str]:
    """The usable texts of a value, or of a list and the lists in it."""
    if isinstance(content, list):
        return [text for item in content for text in _texts(item, depth + 1)] if depth < _MAX_DEPTH else []
    if isinstance(content, bool) or not isinstance(content, str | int | float):
        return []
    if isinstance(content, float) and not math.isfinite(content):
        return []
    text = str(content).strip()
    return [text] if text else []


def _is_entry(value: Mapping[str, object], languages: Languages) -> bool:
    """Whether all keys of an object name fields of an entry, its term among them."""
    columns = [column_of(name, languages) for name in value]
    return all(columns) and any(column is not None and column.role == "term" for column in columns)


def _kind(value: object) -> str:
    kinds: dict[type, str] = {dict: "object", list: "list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "number")
