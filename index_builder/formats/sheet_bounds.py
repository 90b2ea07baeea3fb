"""How much a parser would make of the sheets of a workbook, known before it parses them.

A sheet may hold one value in its last corner, which a parser answers with seventeen thousand million cells, or one long
text in a million of them. Elements and attributes follow ECMA-376, part 1, 18.3 and 18.4 (SpreadsheetML).
"""

from collections import Counter
from collections.abc import Mapping

from index_builder.formats.safe_xml import read_xml
from streaming.errors import GlossaryError

MAX_CELLS = 8_000_000
"""Cells of the rectangles from A1 around all values of the sheets."""
MAX_TEXT = 256 * 2**20
"""Characters in all cells together."""
_LONGEST_NUMBER = 16
_LONGEST_ROW = 7
_MAX_LETTERS = 3
_DIGITS = "0123456789"


class SheetBounds:
    """Adds up what the parts of a workbook hold."""

    def __init__(self, name: str) -> None:
        """Nothing is counted yet; `name` is the file's, for messages.

        `valueless_cells` are formulas whose result the file does not hold, or holds as an error.
        """
        self.valueless_cells = 0
        self._name = name
        self._cells = 0
        self._text = 0
        self._strings: list[int] = []
        self._uses: Counter[int] = Counter()

    def scan(self, content: bytes, part: str) -> None:
        """Count what one part holds.

        Raises:
            GlossaryError: it is no sound XML, or a cell's place is not one.
        """
        scan = _PartScan(part)
        read_xml(content, part, scan, is_package_part=True)
        self._cells += scan.last_row * _number_of(scan.last_letters)
        self._text += scan.text
        self._strings += scan.strings
        self._uses.update(scan.uses)
        self.valueless_cells += scan.valueless_cells

    def check(self) -> None:
        """Compare the sums with the bounds.

        Raises:
            GlossaryError: the sheets are too large.
        """
        if self._cells > MAX_CELLS:
            raise GlossaryError(
                f"{self._name} spreads over {self._cells} cells, more than {MAX_CELLS}; delete what stands far from "
                f"the table, or split the glossary"
            )
        shared = sum(self._strings[index] * times for index, times in self._uses.items() if index < len(self._strings))
        if self._text + shared > MAX_TEXT:
            raise GlossaryError(
                f"{self._name} holds more than {MAX_TEXT // 2**20} million characters; split the glossary"
            )


class _PartScan:
    """One part: a sheet, the table of shared strings, or another, in which nothing is counted."""

    def __init__(self, part: str) -> None:
        self.last_row = 0
        self.last_letters = ""
        self.text = 0
        self.strings: list[int] = []
        self.uses: Counter[int] = Counter()
        self.valueless_cells = 0
        self._part = part
        self._row = 0
        self._letters = ""
        self._is_shared = False
        self._is_error = False
        self._element = ""
        self._value = ""
        self._length = 0
        self._has_formula = False
        self._has_content = False

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> None:
        """An element begins."""
        self._element = name
        if name == "c":
            kind = attributes.get("t")
            self._is_shared, self._is_error = kind == "s", kind == "e"
            self._place(attributes.get("r"))
        elif name == "row":
            number = attributes.get("r")
            self._row = self._row + 1 if number is None else self._number(number, _LONGEST_ROW)
            self._letters = ""
        elif name == "si":
            self.strings.append(0)
        else:
            # A parser keeps a cell for an empty text too.
            self._has_content |= name in ("v", "is", "f")
            self._has_formula |= name == "f"

    def end(self, name: str) -> None:
        """An element ends."""
        self._element = ""
        if name == "c":
            self._end_cell()

    def characters(self, text: str) -> None:
        """Text of the element that began last."""
        if self._element not in ("v", "t"):
            return
        if self._row:
            self._length += len(text)
            # The number of a shared string is short; other values are only counted.
            if self._is_shared and len(self._value) <= _LONGEST_NUMBER:
                self._value += text
        elif self.strings:
            self.strings[-1] += len(text)

    def _place(self, reference: str | None) -> None:
        """Take the place of a cell; one without is beside the last."""
        if reference is None:
            self._letters = _letters_of(_number_of(self._letters) + 1)
            return
        letters = reference.rstrip(_DIGITS)
        digits = reference[len(letters) :]
        if not (letters.isascii() and letters.isalpha() and len(letters) <= _MAX_LETTERS):
            raise GlossaryError(f"{self._part}: {reference[:20]!r} is no cell; save it as XLSX once more")
        self._row, self._letters = self._number(digits, _LONGEST_ROW), letters.upper()

    def _number(self, digits: str, longest: int) -> int:
        if not (digits.isascii() and digits.isdigit() and len(digits) <= longest):
            raise GlossaryError(f"{self._part}: {digits[:20]!r} is no row or text; save it as XLSX once more")
        return int(digits)

    def _end_cell(self) -> None:
        value, length, has_formula = self._value.strip(), self._length, self._has_formula
        self._value, self._length, self._has_formula = "", 0, False
        has_content, self._has_content = self._has_content, False
        if not has_content:
            return
        self.valueless_cells += self._is_error or (has_formula and not length)
        self.last_row = max(self.last_row, self._row)
        # "Z" comes before "AA".
        if (len(self._letters), self._letters) > (len(self.last_letters), self.last_letters):
            self.last_letters = self._letters
        if self._is_shared and length:
            self.uses[self._number(value, min(length, _LONGEST_NUMBER))] += 1
        else:
            self.text += length


def _number_of(letters: str) -> int:
    """The number of a column from 1; 0 for no letters."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _letters_of(number: int) -> str:
    """The letters of a column: the reverse of `_number_of`."""
    letters = ""
    while number:
        number, last = divmod(number - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters
