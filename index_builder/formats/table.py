"""Tables: CSV, TSV, semicolons or bars, with or without a header, or a bare list of terms."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from index_builder.formats.columns import Column, Languages, columns_of, is_header, split_list, split_pronunciations
from index_builder.formats.rows import GlossaryRow, GlossaryWarning, ParsedGlossary, Place, RejectedRow, reject
from streaming.errors import GlossaryError

_DELIMITERS = "\t;,|"
# Stands for "no delimiter": a control character that the file does not hold.
_NO_DELIMITER = "\x1f"
_SNIFFED_LINES = 100
# A quoted cell over more lines than this is a quote that was never closed, not a cell.
_MAX_QUOTED_LINES = 20
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=([,;\t|])\"?[,;\s]*", re.IGNORECASE)
_END_OF_LINE = re.compile(r"\r\n|\n|\r")


def parse_table(text: str, name: str, languages: Languages) -> ParsedGlossary:
    """Read a delimited table; the delimiter and the header are found from the content.

    Raises:
        GlossaryError: the header names no term column.
    """
    lines = _END_OF_LINE.split(text)
    delimiter = _declared_delimiter(lines) or find_delimiter(lines, languages)
    skipped = _skip_comments(lines, delimiter, name, languages)
    records: list[tuple[int, list[str]]] = []
    rejected: list[RejectedRow] = []
    for line, outcome in _records(lines, delimiter):
        if isinstance(outcome, str):
            rejected.append(reject(Place(name, line), lines[line - 1], outcome))
        elif any(cell.strip() for cell in outcome):
            records.append((line, outcome))
    columns, warnings = _columns(records, name, languages)
    if records and is_header(records[0][1], languages):
        del records[0]
        warnings += _lost_cells(records, columns, name)
    rows = [_row(Place(name, line), cells, columns) for line, cells in records]
    return ParsedGlossary(name, tuple(rows), (), tuple(rejected), (*skipped, *warnings))


def find_delimiter(lines: Sequence[str], languages: Languages) -> str:
    """The delimiter of a table: one that parts a header, else one that gives most lines the same several cells.

    (`csv.Sniffer` guesses from letters too and fails on a single column, the simplest glossary there is.)
    """
    sample = [line for line in lines[_comments(lines) :][:_SNIFFED_LINES] if line.strip()]
    best, best_share = _NO_DELIMITER, 0.5
    for delimiter in _DELIMITERS:
        rows = [row for line in sample if (row := _cells([line], delimiter))]
        if rows and len(rows[0]) > 1 and is_header(rows[0], languages):
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
    ended = [line + "\n" for line in lines]
    start = 0
    while start < len(lines):
        reader = csv.reader(
            ended[start : start + _MAX_QUOTED_LINES], delimiter=delimiter, skipinitialspace=True, strict=True
        )
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


def _columns(
    records: Sequence[tuple[int, list[str]]], name: str, languages: Languages
) -> tuple[list[Column | None], list[GlossaryWarning]]:
    """The meaning of each column, from the header or by position, and what is ignored."""
    if not records:
        return [], []
    line, first = records[0]
    if not is_header(first, languages):
        width = max(len(cells) for _, cells in records)
        by_position: list[Column | None] = [Column("term"), Column("translation", languages.target)]
        warnings = []
        if width > 2:
            warnings.append(
                GlossaryWarning(
                    "", "unknown_column", f"{name} has no header, so its columns 3 to {width} are ignored; name them"
                )
            )
        return by_position, warnings
    columns = columns_of(first, languages)
    if not any(column is not None and column.role == "term" for column in columns):
        raise GlossaryError(
            f"{name}, line {line}: no column of {first} holds the terms; name one of them term, source or "
            f"{languages.source}"
        )
    return columns, list(_header_warnings(first, columns, name))


def _header_warnings(names: Sequence[str], columns: Sequence[Column | None], file: str) -> Iterator[GlossaryWarning]:
    """Columns that are ignored, and those of a language that another column holds already."""
    holder: dict[Column, str] = {}
    for cell, column in zip(names, columns, strict=True):
        if column is None and cell.strip():
            message = (
                f"{file}: the column {cell!r} is not known and is ignored; if it holds translations, name it by a "
                f"language code such as de"
            )
            yield GlossaryWarning("", "unknown_column", message)
        if column is None or column.role != "translation":
            continue
        if column in holder:
            language = f" into {column.language}" if column.language else ""
            message = (
                f"{file}: the columns {holder[column]!r} and {cell!r} both hold translations{language}; the second "
                f"counts only in rows where the first is empty"
            )
            yield GlossaryWarning("", "repeated_language", message)
        holder.setdefault(column, cell)


def _lost_cells(
    records: Sequence[tuple[int, list[str]]], columns: Sequence[Column | None], file: str
) -> Iterator[GlossaryWarning]:
    """Rows with cells beyond the columns of the header, and with other values in a repeated column."""
    beyond = [line for line, cells in records if any(cell.strip() for cell in cells[len(columns) :])]
    if beyond:
        message = (
            f"{file}, line {beyond[0]}: cells beyond the {len(columns)} columns of the header are ignored, in "
            f"{_rows(len(beyond))}; name the columns, or quote a cell that holds the delimiter"
        )
        yield GlossaryWarning("", "extra_cells", message)
    repeated = [line for line, cells in records if _has_second_value(cells, columns)]
    if repeated:
        message = (
            f"{file}, line {repeated[0]}: of two columns that mean the same the second has another value, which is "
            f"ignored, in {_rows(len(repeated))}; name the columns differently, or remove one"
        )
        yield GlossaryWarning("", "second_value", message)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _has_second_value(cells: Sequence[str], columns: Sequence[Column | None]) -> bool:
    first: dict[Column, str] = {}
    return any(
        first.setdefault(column, value) != value
        for cell, column in zip(cells, columns, strict=False)
        if column is not None and column.role in ("translation", "id", "note") and (value := cell.strip())
    )


def _row(place: Place, cells: Sequence[str], columns: Sequence[Column | None]) -> GlossaryRow:
    terms: list[str] = []
    single: dict[str, str] = {}
    translations: dict[str, str] = {}
    aliases: list[str] = []
    pronunciations: list[str] = []
    for cell, column in zip(cells, columns, strict=False):
        value = cell.strip()
        if not value or column is None:
            continue
        if column.role == "term":
            terms.append(value)
        elif column.role == "translation":
            translations.setdefault(column.language, value)
        elif column.role == "aliases":
            aliases += split_list(value)
        elif column.role == "pronunciations":
            pronunciations += split_pronunciations(value)
        else:
            single.setdefault(column.role, value)
    return GlossaryRow(
        place,
        terms[0] if terms else "",
        translations,
        # A second term column ("term" beside "en") holds another name of the same thing.
        (*terms[1:], *aliases),
        tuple(pronunciations),
        single.get("id", ""),
        single.get("note", ""),
    )
