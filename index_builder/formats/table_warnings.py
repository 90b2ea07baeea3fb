"""What the author of a table should know about it: columns that are not read, values that are not used."""

import re
from collections.abc import Iterator, Sequence

from index_builder.formats.columns import Column
from index_builder.formats.rows import GlossaryWarning, shorten

CANDIDATE_COLUMNS = ("count", "score", "context")
"""What a table of candidate terms tells its reader of each, for pruning; it is not read back."""
_SINGLE = frozenset({"translation", "id", "note", "domain", "source_lang", "do_not_hint", "minimum_probability"})

# What people write between a term and its translation; a hyphen inside a term has no blank on both sides.
_PARTED_BY_EYE = re.compile(r"\S(?:\s+(-|–|—|=|->|=>|→)|\s*(:))\s+\S")

# Numbers and bullets of a list, and what programs take for a comment; "3 D printing" and "C# sharp" have none.
_LIST_MARK = re.compile(r"^\s*([-*•·–—#+]|\d{1,4}[.)]{1,2}|\(\d{1,4}\)|[a-z]\))\s+\S")


def title_warning(file: str, line: int, count: int) -> GlossaryWarning:
    """Lines of one cell each stand before the header."""
    return GlossaryWarning("", "comment", f"{file}, line {line}: titles before the header are skipped: {count}")


def no_heading_warning(file: str, line: int, first: str) -> GlossaryWarning:
    """No row of a table of several columns names them, so that what its author meant as headings may be an entry."""
    message = (
        f"{file}, line {line}: no heading was recognised, so this line is read as an entry, {shorten(first)!r}; where "
        f"it is a heading, name the columns with --source-col and --target-col"
    )
    return GlossaryWarning("", "no_heading", message)


def unparted_warning(lines: Sequence[str], file: str) -> GlossaryWarning | None:
    """Lines of a list look like a term and its translation, which nothing that parts cells stands between."""
    advice = "each line is read as one term, with the {} in it ({} like this); where a translation follows it, write a "
    return _lines_warning(_PARTED_BY_EYE, lines, file, "unparted", f"{advice}tab or a semicolon instead")


def marks_warning(lines: Sequence[str], file: str) -> GlossaryWarning | None:
    """Lines of a list begin with its marks, which would be listened for or shown as a part of the term."""
    advice = (
        "{} is read as a part of the term ({} like this); where it is the mark of a list or of a comment, remove it"
    )
    return _lines_warning(_LIST_MARK, lines, file, "list_mark", advice)


def _lines_warning(
    sign: re.Pattern[str], lines: Sequence[str], file: str, kind: str, advice: str
) -> GlossaryWarning | None:
    """Of the first line in which a sign is found (its last group that matched), and how many are like it."""
    looks = [(number, found) for number, line in enumerate(lines, 1) if (found := sign.search(line))]
    if not looks:
        return None
    number, found = looks[0]
    told = advice.format(repr(found[found.lastindex or 0]), _rows(len(looks)))
    return GlossaryWarning("", kind, f"{file}, line {number}: {told}")


def header_warnings(names: Sequence[str], columns: Sequence[Column | None], file: str) -> Iterator[GlossaryWarning]:
    """Columns that are ignored, and those of a language that another column holds already."""
    holder: dict[Column, str] = {}
    told = CANDIDATE_COLUMNS if set(CANDIDATE_COLUMNS) <= set(names) else ()
    for cell, column in zip(names, columns, strict=True):
        if column is None and cell.strip() and cell not in told:
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


def lost_cells(
    records: Sequence[tuple[int, Sequence[str]]], columns: Sequence[Column | None], file: str
) -> Iterator[GlossaryWarning]:
    """Rows with cells beyond the columns of the header, and with other values in a repeated column."""
    known = len(columns)
    beyond = [line for line, cells in records if len(cells) > known and any(cell.strip() for cell in cells[known:])]
    if beyond:
        message = (
            f"{file}, line {beyond[0]}: cells beyond the {len(columns)} columns of the header are ignored, in "
            f"{_rows(len(beyond))}; name the columns, or quote a cell that holds the delimiter"
        )
        yield GlossaryWarning("", "extra_cells", message)
    single = [column for column in columns if column is not None and column.role in _SINGLE]
    may_repeat = len(set(single)) < len(single)
    repeated = [line for line, cells in records if may_repeat and _has_second_value(cells, columns)]
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
        if column is not None and column.role in _SINGLE and (value := cell.strip())
    )
