"""Text parted by tabs, semicolons, commas or bars -> records with the lines where they begin."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from index_builder.formats.chosen_columns import Columns
from index_builder.formats.columns import is_header
from index_builder.formats.formula_guard import is_own_header
from index_builder.formats.languages import Languages
from index_builder.formats.rows import GlossaryWarning, ParsedGlossary, Place, RejectedRow, reject
from index_builder.formats.table import TITLE_LINES, Record, Table, parse_tables
from index_builder.formats.table_warnings import marks_warning, unparted_warning

_DELIMITERS = "\t;,|"
# Stands for "no delimiter": a control character that the file does not hold.
_NO_DELIMITER = "\x1f"
_DELIMITER_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
_SNIFFED_LINES = 100
# A quoted cell over more lines than this is a quote that was never closed, not a cell.
_MAX_QUOTED_LINES = 20
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=([,;\t|])\"?[,;\s]*", re.IGNORECASE)
_END_OF_LINE = re.compile(r"\r\n|\n|\r")


def parse_delimited(text: str, name: str, languages: Languages, columns: Columns) -> ParsedGlossary:
    """Read a delimited table; the delimiter and the header are found from the content.

    Raises:
        GlossaryError: the header names no term column.
    """
    lines = _END_OF_LINE.split(text)
    delimiter = _declared_delimiter(lines) or find_delimiter(lines, languages)
    skipped = _skip_comments(lines, delimiter, name, languages)
    records: list[Record] = []
    rejected: list[RejectedRow] = []
    for line, outcome in _records(lines, delimiter):
        if isinstance(outcome, str):
            rejected.append(reject(Place(name, line), lines[line - 1], outcome))
        elif any(map(str.strip, outcome)):
            records.append((line, outcome))
    parsed = parse_tables(name, [Table(name, records, may_be_guarded=True)], languages, columns)
    if delimiter == _NO_DELIMITER:
        of_list = marks_warning(lines, name), unparted_warning(lines, name)
        skipped += [warning for warning in of_list if warning is not None]
    reading = f"a table parted by {named}" if (named := _DELIMITER_NAMES.get(delimiter)) else "a list of terms"
    return ParsedGlossary(name, parsed.rows, (), (*rejected, *parsed.rejected), (*skipped, *parsed.warnings), reading)


def find_delimiter(lines: Sequence[str], languages: Languages) -> str:
    """The delimiter of a table: one that parts a header, else one that gives most lines the same several cells.

    (`csv.Sniffer` guesses from letters too and fails on a single column, the simplest glossary there is.)
    """
    # The languages in our own header may hold any sign.
    if is_own_header(_cells(list(lines[:1]), ",")):
        return ","
    sample = [line for line in lines[_comments(lines) :][:_SNIFFED_LINES] if line.strip()]
    best, best_share = _NO_DELIMITER, 0.5
    for delimiter in _DELIMITERS:
        rows = [row for line in sample if (row := _cells([line], delimiter))]
        # Titles of one cell may stand above the header.
        first = next((row for row in rows[:TITLE_LINES] if len(row) > 1), [])
        if first and is_header(first, languages):
            return delimiter
        # A single column comes out as many rows of one cell, whatever the delimiter.
        count, frequency = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
        share = frequency / max(1, len(sample))
        if count > 1 and share > best_share:
            best, best_share = delimiter, share
    return best


def _declared_delimiter(lines: list[str]) -> str:
    """The delimiter that Excel writes in a first line "sep=;", which is blanked then; "" where there is none."""
    found = _SEPARATOR_LINE.fullmatch(lines[0])
    if found is None:
        return ""
    lines[0] = ""
    return found[1]


def _comments(lines: Sequence[str]) -> int:
    """How many blank lines and lines that begin with "#" stand before all others."""
    return next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)


def _skip_comments(lines: list[str], delimiter: str, name: str, languages: Languages) -> list[GlossaryWarning]:
    """Blank the comments before a header. Without a header they are terms, such as "#metoo"."""
    end = _comments(lines)
    written = [index for index in range(end) if lines[index].strip()]
    if not written or not is_header(_cells([lines[end]], delimiter), languages):
        return []
    for index in written:
        lines[index] = ""
    message = f"{name}, line {written[0] + 1}: lines that begin with '#' before the header are skipped: {len(written)}"
    return [GlossaryWarning("", "comment", message)]


def _cells(lines: list[str], delimiter: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _records(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each record with the line where it begins (from 1); a record that cannot be read as the reason why."""
    start = 0
    while start < len(lines):
        if '"' not in (line := lines[start]) and len(line) < csv.field_size_limit():
            # What the reader would do of it, in a third of the time.
            yield start + 1, [cell.lstrip(" ") for cell in line.split(delimiter)]
            start += 1
            continue
        ended = [line + "\n" for line in lines[start : start + _MAX_QUOTED_LINES]]
        reader = csv.reader(ended, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            record: list[str] | str = next(reader)
            used = reader.line_num
        except csv.Error as cause:
            # Only the first line is given up; the next may be sound.
            record, used = _reason(str(cause)), 1
        yield start + 1, record
        start += used


def _reason(cause: str) -> str:
    if "end of data" in cause:
        return "an opening quote is never closed; double or remove it"
    if "field larger" in cause:
        return "a cell is longer than 131072 characters"
    return "text follows a closing quote; double the quotes inside a quoted cell"
