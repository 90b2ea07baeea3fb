"""What a glossary file is, by its content."""

import codecs
import re
from typing import Literal, TypeAlias

from index_builder.formats.source import GlossaryFile
from streaming.errors import GlossaryError

Kind: TypeAlias = Literal["workbook", "xml", "json", "table"]

_LOOKED_AT = 1024
_ZIP = b"PK\x03\x04"
_FOREIGN = (
    (b"%PDF", "a PDF document", "export the glossary as CSV in UTF-8, or take its terms with `--from-text`"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document (XLS or DOC), or one with a password",
        "save it as XLSX without a password",
    ),
    (b"SQLite format 3", "an SQLite database", "export the glossary as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it"),
    (b"PK\x05\x06", "an empty zip archive", "name the glossary itself"),
)
# Other texts may well begin with "<": a list of HTML elements, say.
_XML = re.compile(r"\s*<(\?xml\s|!DOCTYPE\s|!--|(\w+:)?(martif|tbx|tmx)[\s>])", re.IGNORECASE)


def kind_of_bytes(file: GlossaryFile) -> Kind | None:
    """The kind of a file that is no text, or names its encoding itself; None for any other text.

    Raises:
        GlossaryError: it is of a kind that is not read; names the cure.
    """
    for magic, named, cure in _FOREIGN:
        if file.content.startswith(magic):
            raise GlossaryError(f"{file.path} is {named}; {cure}")
    if file.content.startswith(_ZIP):
        return "workbook"
    start = file.content[:_LOOKED_AT].removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return "xml" if _XML.match(start) else None


def kind_of_text(text: str, suffix: str) -> Kind:
    """The kind of a file that is a text with something in it."""
    if _XML.match(text):
        return "xml"
    # A file that calls itself JSON is no table, even where it holds but `null` or a number.
    if text.lstrip()[0] in "[{" or suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return "json"
    return "table"
