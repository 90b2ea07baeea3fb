"""XML in a stream, with lines, and without what makes XML dangerous.

Entities that a document declares are refused (billion laughs), no external subset or entity is ever fetched, and
elements may nest only so deep. Nothing of the document is kept here, so one of any length fits.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import NoReturn, Protocol
from xml.parsers import expat

from streaming.errors import GlossaryError

_MAX_DEPTH = 64
_PIECE = 2**16
_BLANK = "\ufeff \t\r\n"
_DECLARED = re.compile(rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Of what Python calls encodings some unpack archives, and some take for ever.
_ENCODINGS = re.compile(
    r"utf[-_]?(8|16|32)([-_]?(sig|le|be))?|(us-)?ascii|latin-?1|(iso-?8859|windows|koi8|euc|cp|ibm)[-_]?[0-9a-z]{1,4}|"
    r"gb(k|2312|18030)|big5|shift[-_]jis",
    re.IGNORECASE,
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Listener(Protocol):
    """Hears what is in a document."""

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> None:
        """An element begins: its name without prefix, its attributes, its line from 1."""
        ...

    def end(self, name: str) -> None:
        """An element ends."""
        ...

    def characters(self, text: str) -> None:
        """Text, in pieces."""
        ...


def read_xml(content: bytes, name: str, listener: Listener, *, is_package_part: bool = False) -> None:
    """Parse an XML document and tell a listener what is in it.

    Args:
        content: the document, in the encoding that it declares.
        name: of the file, for messages.
        listener: is told.
        is_package_part: it must be UTF-8 without a document type, as the parts of Office files are.

    Raises:
        GlossaryError: it is not well-formed, declares or uses entities, or nests too deeply; names the line.
    """
    reader = _Reader(name, listener)
    if is_package_part:
        reader.parser.StartDoctypeDeclHandler = reader.doctype
    encoding = "utf-8" if is_package_part else _encoding(content)
    try:
        for piece in _pieces(content, name, encoding):
            reader.parser.Parse(piece, False)
        reader.parser.Parse("", True)
    except expat.ExpatError as cause:
        raise GlossaryError(
            f"{name} is not sound XML at line {cause.lineno}, column {cause.offset + 1}: "
            f"{expat.ErrorString(cause.code)}; correct it there"
        ) from cause


class _Reader:
    """An expat parser that fetches nothing and refuses entities."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.parser = expat.ParserCreate()
        self._name = name
        self._begin, self._finish = listener.start, listener.end
        self._depth = 0
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = listener.characters
        self.parser.EntityDeclHandler = self._declared
        self.parser.SkippedEntityHandler = self._skipped
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def doctype(self, *_: object) -> None:
        """Refuse a document type."""
        self._refuse("a part of an Office file has no document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"elements are nested deeper than {_MAX_DEPTH}")
        self._begin(tag if ":" not in tag else tag.rpartition(":")[2], attributes, self.parser.CurrentLineNumber)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._finish(tag if ":" not in tag else tag.rpartition(":")[2])

    def _declared(self, entity: str, *_: object) -> None:
        self._refuse(f"the entity {entity!r} is declared, which serves attacks and is never read")

    def _skipped(self, entity: str, is_parameter: bool) -> None:
        # A parameter entity holds declarations, never text.
        if not is_parameter:
            self._refuse(f"the entity &{entity}; is not declared, write its character instead")

    def _refuse(self, what: str) -> NoReturn:
        raise GlossaryError(f"{self._name}, line {self.parser.CurrentLineNumber}: {what}; correct it there")


def _encoding(content: bytes) -> str:
    """The encoding by the byte order mark, else as declared, else UTF-8 (XML 1.0, appendix F)."""
    declared = _DECLARED.match(content[:_PIECE].lstrip())
    encoding = declared[1].decode() if declared else "utf-8"
    return next((of_mark for mark, of_mark in _MARKS if content.startswith(mark)), encoding)


def _pieces(content: bytes, name: str, encoding: str) -> Iterator[str]:
    """The text in pieces. Decoded here: expat knows four encodings only, and text overrides what it declares."""
    try:
        if _ENCODINGS.fullmatch(encoding) is None:
            raise LookupError(encoding)
        decoder = codecs.getincrementaldecoder(encoding)()
        for begin in range(0, len(content), _PIECE):
            piece = decoder.decode(content[begin : begin + _PIECE], begin + _PIECE >= len(content))
            # expat allows nothing before a declaration; people save blank lines there.
            yield piece.lstrip(_BLANK) if begin == 0 else piece
    except UnicodeError as cause:
        # A missing byte order mark has no position, so it is no UnicodeDecodeError.
        reason = cause.reason if isinstance(cause, UnicodeDecodeError) else cause
        raise GlossaryError(f"{name} is not the {encoding} that it should be: {reason}; save it as UTF-8") from cause
    except LookupError as cause:
        raise GlossaryError(f"{name} declares the encoding {encoding}, which is not known; save it as UTF-8") from cause
