"""Glossary files as people have them, recognised by content, read into rows with their lines."""

from dataclasses import replace
from pathlib import Path

from index_builder.formats.chosen_columns import Columns
from index_builder.formats.delimited import parse_delimited
from index_builder.formats.json_rows import is_json_lines, parse_aliases, parse_json, parse_json_lines
from index_builder.formats.languages import Languages
from index_builder.formats.recognition import kind_of_bytes, kind_of_text
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
from index_builder.formats.source import GlossaryFile, read_source
from index_builder.formats.text_encoding import Text
from index_builder.formats.workbook import parse_workbook
from index_builder.formats.xml_glossary import parse_xml
from streaming.errors import GlossaryError

__all__ = [
    "AliasRow",
    "Columns",
    "GlossaryFile",
    "GlossaryRow",
    "GlossaryWarning",
    "Languages",
    "ParsedGlossary",
    "Place",
    "RejectedRow",
    "parse_glossary",
    "read_glossary",
    "read_source",
    "reject",
    "shorten",
]

_BY_LOOKS = Columns()


def read_glossary(
    path: Path,
    *,
    source_lang: str = "en",
    target_lang: str = "",
    aliases: Path | None = None,
    columns: Columns = _BY_LOOKS,
) -> ParsedGlossary:
    """Read a glossary file.

    Args:
        path: CSV, TSV, semicolons, bars, a bare list of terms, XLSX, TBX, TMX, JSON or JSON lines.
        source_lang: language code of the terms.
        target_lang: language code of a translation whose column does not name one.
        aliases: an `alt2main.json`.
        columns: which columns of a table hold terms and translations, where their headings do not tell.

    Raises:
        GlossaryError: the file cannot be read at all; single bad rows are in `rejected`.
    """
    alias_file = None if aliases is None else read_source(aliases)
    return parse_glossary(read_source(path), Languages(source_lang, target_lang), alias_file, columns)


def parse_glossary(
    file: GlossaryFile, languages: Languages, aliases: GlossaryFile | None = None, columns: Columns = _BY_LOOKS
) -> ParsedGlossary:
    """Parse a glossary file that was read before; see `read_glossary`."""
    kind = kind_of_bytes(file)
    if kind == "workbook":
        parsed = parse_workbook(file, languages, columns)
    elif kind == "xml":
        parsed = parse_xml(file, languages)
    else:
        parsed = _parse_text(file, file.text(), languages, columns)
    if aliases is None:
        return parsed
    alias_rows, rejected = parse_aliases(aliases.text().text, aliases.path.name)
    return replace(parsed, alias_rows=alias_rows, rejected=(*parsed.rejected, *rejected))


def _parse_text(file: GlossaryFile, text: Text, languages: Languages, columns: Columns) -> ParsedGlossary:
    name, suffix = file.path.name, file.path.suffix
    if not text.text.strip():
        raise GlossaryError(f"{file.path} is empty; put one term on each line")
    kind = kind_of_text(text.text, suffix)
    if kind == "xml":
        return parse_xml(file, languages)
    if kind == "table":
        parsed = parse_delimited(text.text, name, languages, columns)
    elif is_json_lines(text.text, suffix, languages):
        parsed = parse_json_lines(text.text, name, languages, columns)
    else:
        parsed = parse_json(text.text, name, languages, columns)
    warnings = (*_encoding_warning(name, text), *parsed.warnings)
    return replace(parsed, warnings=warnings, reading=f"{parsed.reading}, {text.encoding_name}")


def _encoding_warning(name: str, text: Text) -> tuple[GlossaryWarning, ...]:
    if not text.guessed:
        return ()
    read_as = f"{name} does not tell its encoding and is read as {text.encoding_name}"
    message = f"{read_as}; if letters look wrong, save it as UTF-8"
    return (GlossaryWarning("", "encoding", message),)
