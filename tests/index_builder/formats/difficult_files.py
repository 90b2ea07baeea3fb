"""The form of a difficult file: what it holds, and what must come of every row of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from index_builder.formats import Columns, Languages


@dataclass(frozen=True, slots=True)
class Difficult:
    """A file with a trap.

    `rows` are (line, term, translations) in order; `rejected` are (line, words of the reason); `warnings` are kinds;
    `more` are further fields of the first row.
    """

    trap: str
    content: bytes
    rows: Sequence[tuple[int, str, Mapping[str, str]]]
    rejected: Sequence[tuple[int, str]] = ()
    warnings: Sequence[str] = ()
    more: Mapping[str, object] = field(default_factory=dict)
    languages: Languages = field(default_factory=lambda: Languages("en", "de"))
    columns: Columns = field(default_factory=Columns)
    name: str = "glossary"


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is refused as a whole, in a sentence that matches `message`."""

    trap: str
    content: bytes
    message: str
    columns: Columns = field(default_factory=Columns)
    name: str = "glossary"
