"""XML glossaries, told apart by their root element: TBX of both generations, and TMX."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from index_builder.formats.languages import Languages
from index_builder.formats.rows import ParsedGlossary
from index_builder.formats.safe_xml import read_xml
from index_builder.formats.source import GlossaryFile
from index_builder.formats.tbx import parse_tbx
from index_builder.formats.tmx import parse_tmx
from streaming.errors import GlossaryError

Parse: TypeAlias = Callable[[bytes, str, Languages], ParsedGlossary]
_PARSERS: dict[str, Parse] = {"martif": parse_tbx, "tbx": parse_tbx, "tmx": parse_tmx}


class _Root:
    """Hears of the first element, which ends the reading."""

    class FoundError(Exception):
        """The root element is known."""

    def __init__(self) -> None:
        self.name = ""

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> None:
        """The root begins."""
        self.name = name.lower()
        raise self.FoundError

    def end(self, name: str) -> None:
        """Never reached."""

    def characters(self, text: str) -> None:
        """Never reached."""


def parse_xml(file: GlossaryFile, languages: Languages) -> ParsedGlossary:
    """Read a TBX or TMX file.

    Raises:
        GlossaryError: it is neither, or not sound XML.
    """
    root = _Root()
    with suppress(_Root.FoundError):
        read_xml(file.content, file.path.name, root)
    parse = _PARSERS.get(root.name)
    if parse is None:
        raise GlossaryError(
            f"{file.path.name} is XML with the root <{root.name}>, neither TBX (<tbx>, <martif>) nor TMX (<tmx>); "
            f"export the glossary as one of these, or as CSV"
        )
    return parse(file.content, file.path.name, languages)
