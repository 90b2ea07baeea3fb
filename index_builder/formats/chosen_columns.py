"""Columns that the user chose by heading, letter or number, where their headings do not tell what they hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index_builder.formats.columns import Column
from index_builder.formats.languages import Languages, as_code
from streaming.errors import GlossaryError

_LETTERS = re.compile(r"[A-Za-z]{1,3}")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold terms and translations; "" leaves it to their headings.

    A column is named by its heading ("Begriff"), its letter ("B") or its number from 1 ("2"). `target` may name
    several, parted by commas, each with the language that its heading does not tell: "B=de, C=fr".
    """

    source: str = ""
    target: str = ""

    def __bool__(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.source or self.target)

    def named_in(self, cells: Sequence[str]) -> bool:
        """Whether a chosen heading stands in a row, which is the header then."""
        wanted = [self.source, *(name for name, _ in self._targets(cells))]
        return any(_heading(name, cells) is not None for name in wanted if name)

    def apply(
        self, found: Sequence[Column | None], cells: Sequence[str], languages: Languages, file: str
    ) -> list[Column | None]:
        """The meaning of each column, with those chosen in the place of others of their role.

        Args:
            found: the meaning of each column by its heading or place.
            cells: the headings, or the first row of a table without any.
            languages: gives the language of a translation that nothing else names.
            file: for the message.

        Raises:
            GlossaryError: there is no such column.
        """
        columns: list[Column | None] = [*found, *[None] * (len(cells) - len(found))]
        chosen: dict[int, Column] = {}
        for name, language in self._targets(cells):
            place = _place(name, cells, file)
            known = columns[place]
            told = known.language if known is not None and known.role == "translation" else ""
            chosen[place] = Column("translation", as_code(language) or told or languages.target)
        if self.source:
            chosen[_place(self.source, cells, file)] = Column("term")
        replaced = {column.role for column in chosen.values()}
        kept = [None if column is not None and column.role in replaced else column for column in columns]
        return [chosen.get(place, column) for place, column in enumerate(kept)]

    def _targets(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        """Each chosen translation column and its language ("" where not given)."""
        # A heading may hold a comma or an equals sign itself.
        if not self.target or _heading(self.target, cells) is not None:
            return [(self.target, "")] if self.target else []
        parts = [part.strip() for part in self.target.split(",")]
        named = [(part, "") if _heading(part, cells) is not None else part.partition("=")[::2] for part in parts]
        return [(name.strip(), language.strip()) for name, language in named if name.strip()]


def _heading(name: str, cells: Sequence[str]) -> int | None:
    wanted = " ".join(name.lower().split())
    return next((place for place, cell in enumerate(cells) if " ".join(cell.lower().split()) == wanted), None)


def _place(name: str, cells: Sequence[str], file: str) -> int:
    """Where the column stands, from 0."""
    place = _heading(name, cells)
    if place is None and name.isascii() and name.isdigit() and len(name) < 6:
        place = int(name) - 1
    elif place is None and _LETTERS.fullmatch(name):
        place = _number_of(name) - 1
    if place is None or not 0 <= place < len(cells):
        raise GlossaryError(
            f"{file}: there is no column {name!r} among {', '.join(repr(cell) for cell in cells)}; name one by its "
            f"heading, its letter or its number"
        )
    return place


def _number_of(letters: str) -> int:
    """A spreadsheet's column letters as a number from 1: A is 1, Z is 26, AA is 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
