"""Glossary files as people have them, recognised by content, read into rows with their lines."""

from pathlib import Path

from index_builder.formats.columns import Languages
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
from index_builder.formats.seed_json import parse_aliases, parse_json
from index_builder.formats.source import GlossaryFile, read_source
from index_builder.formats.table import parse_table
from streaming.errors import GlossaryError

__all__ = [
    "AliasRow",
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


def read_glossary(
    path: Path, *, source_lang: str = "en", target_lang: str = "", aliases: Path | None = None
) -> ParsedGlossary:
    """Read a glossary file.

    Args:
        path: CSV, TSV, semicolons, bars, a bare list of terms, or the seed's JSON.
        source_lang: language code of the terms.
        target_lang: language code of a translation whose column does not name one.
        aliases: an `alt2main.json`.

    Raises:
        GlossaryError: the file cannot be read at all; single bad rows are in `rejected`.
    """
    alias_file = None if aliases is None else read_source(aliases)
    return parse_glossary(read_source(path), Languages(source_lang, target_lang), alias_file)


def parse_glossary(file: GlossaryFile, languages: Languages, aliases: GlossaryFile | None = None) -> ParsedGlossary:
    """Parse a glossary file that was read before; see `read_glossary`."""
    text = file.text()
    if not text.strip():
        raise GlossaryError(f"{file.path} is empty; put one term on each line")
    # A file that calls itself JSON is no table, even where it holds but `null` or a number.
    is_json = text.lstrip()[0] in "[{" or file.path.suffix.lower() == ".json"
    parse = parse_json if is_json else parse_table
    parsed = parse(text, file.path.name, languages)
    if aliases is None:
        return parsed
    alias_rows, rejected = parse_aliases(aliases.text(), aliases.path.name)
    return ParsedGlossary(parsed.name, parsed.rows, alias_rows, (*parsed.rejected, *rejected), parsed.warnings)
