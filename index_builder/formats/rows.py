"""What every glossary format is read into: rows as written, and rows that could not be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streaming.records import record

MAX_SHOWN = 80


@record
class Place:
    """Where a row stands: file name without folders, and line (from 1) where it begins."""

    file: str
    line: int


@record
class GlossaryRow:
    """One row of a glossary as its author wrote it.

    `translations` maps a language code ("" where unknown) to the translation. `pronunciations` are ARPAbet texts,
    not yet checked. `key` is the name by which an alias file refers to the row. `minimum_probability` is from 0 to 1.
    """

    place: Place
    term: str
    translations: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    pronunciations: tuple[str, ...] = ()
    row_id: str = ""
    note: str = ""
    key: str = ""
    source_lang: str = ""
    domain: str = ""
    do_not_hint: bool = False
    minimum_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class AliasRow:
    """One line of an alias file: `alias` is another way to say the entry named `main`."""

    place: Place
    alias: str
    main: str


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that gives no hint: where it stands, its value (shortened) and why."""

    file: str
    line: int
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class GlossaryWarning:
    """Something that the author should know; `entry` is the entry id, or "" where the whole file is meant."""

    entry: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ParsedGlossary:
    """The rows of one glossary file; every row of the file is in `rows`, `alias_rows` or `rejected`.

    `reading` says in words as what the file was read: its format and its encoding.
    """

    name: str
    rows: tuple[GlossaryRow, ...]
    alias_rows: tuple[AliasRow, ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
    warnings: tuple[GlossaryWarning, ...] = ()
    reading: str = ""


def reject(place: Place, value: str, reason: str) -> RejectedRow:
    """A rejected row with its value shortened to what fits a line of a report."""
    return RejectedRow(place.file, place.line, shorten(value), reason)


def shorten(value: str) -> str:
    """One printable line of at most `MAX_SHOWN` characters."""
    line = " ".join(value.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"
