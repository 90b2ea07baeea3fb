"""A row while its fields are being read, from whatever format."""

from collections.abc import Sequence

from index_builder.formats.cell_values import probability, yes_or_no
from index_builder.formats.columns import Column
from index_builder.formats.languages import as_code
from index_builder.formats.rows import GlossaryRow, GlossaryWarning, Place, shorten


class RowDraft:
    """Takes the values of a row column by column; of a field that is no list the first value counts."""

    __slots__ = ("_aliases", "_place", "_pronunciations", "_single", "_terms", "_translations", "_warnings")

    def __init__(self, place: Place, warnings: list[GlossaryWarning]) -> None:
        """Begin a row; what is wrong with its values is added to `warnings`."""
        self._place = place
        self._warnings = warnings
        self._terms: list[str] = []
        self._translations: dict[str, str] = {}
        self._aliases: list[str] = []
        self._pronunciations: list[str] = []
        self._single: dict[str, str] = {}

    def add(self, column: Column, values: Sequence[str]) -> None:
        """Take the values, none of them blank, that stand in a column.

        Further terms are aliases. Of translations and of what is single the first counts; who reads the others says so.
        """
        if not values:
            return
        if column.role == "term":
            self._terms += values
        elif column.role == "translation":
            self._translations.setdefault(column.language, values[0])
        elif column.role == "aliases":
            self._aliases += values
        elif column.role == "pronunciations":
            self._pronunciations += values
        else:
            self._single.setdefault(column.role, values[0])

    def row(self, key: str = "") -> GlossaryRow:
        """The row; `key` is its name in an alias file, and its term where no column holds one."""
        term = self._terms[0] if self._terms else key
        # A second term column ("term" beside "en") holds another name of the same thing.
        aliases = (*self._terms[1:], *self._aliases)
        pronunciations = tuple(self._pronunciations)
        if not self._single:
            return GlossaryRow(self._place, term, self._translations, aliases, pronunciations, key=key)
        return GlossaryRow(
            self._place,
            term,
            self._translations,
            aliases,
            pronunciations,
            self._single.get("id", ""),
            self._single.get("note", ""),
            key,
            as_code(self._single.get("source_lang", "")),
            self._single.get("domain", ""),
            self._do_not_hint(),
            self._minimum_probability(),
        )

    def _do_not_hint(self) -> bool:
        if not (cell := self._single.get("do_not_hint", "")):
            return False
        said = yes_or_no(cell)
        if said is None:
            self._warn("do_not_hint", f"do_not_hint is {shorten(cell)!r} and is taken for yes; write yes or no")
        return said is not False

    def _minimum_probability(self) -> float:
        if not (cell := self._single.get("minimum_probability", "")):
            return 0.0
        value = probability(cell)
        if value is None:
            message = f"the minimum probability {shorten(cell)!r} is no number from 0 to 1 and is ignored"
            self._warn("minimum_probability", message)
        return value or 0.0

    def _warn(self, kind: str, message: str) -> None:
        self._warnings.append(GlossaryWarning("", kind, f"{self._place.file}, line {self._place.line}: {message}"))
