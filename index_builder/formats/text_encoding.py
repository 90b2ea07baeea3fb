"""Bytes of a text file -> text: by its byte order mark, else by what the bytes can be.

UTF-8 is certain where it decodes. What is neither UTF-8 nor UTF-16 is Windows-1252 or GB18030, told apart by the
characters that each would give: common detectors weigh letter statistics and misjudge short German or Chinese lists.
"""

import codecs
import re
from dataclasses import dataclass

from streaming.errors import GlossaryError

# UTF-32's mark begins with that of UTF-16, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "cp1252": "Windows-1252",
    "gb18030": "GB18030",
}
_SAMPLE = 2**20
# In ASCII text written as UTF-16 every other byte is 0; in prose of other scripts the blanks and ends of lines are.
_SURE_SHARE = 0.3
# Two bytes of GB 2312: its punctuation (rows 1 to 3) and its 3755 common characters (rows 16 to 55).
_COMMON_CHINESE = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
# A pair, or four bytes of GB18030, which say nothing here.
_ANY_PAIR = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|([\x81-\xfe][\x40-\x7e\x80-\xfe])")


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a file without its byte order mark; `guessed`: the file does not prove its encoding."""

    text: str
    encoding: str
    guessed: bool = False

    @property
    def encoding_name(self) -> str:
        """The encoding by the name that people know it by."""
        return _SHOWN[self.encoding]


def decode(content: bytes, path: str) -> Text:
    """Decode a text file.

    Args:
        content: its bytes.
        path: for the message.

    Raises:
        GlossaryError: it is no text, or its bytes are damaged; names the byte, its line and the cure.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return Text(_strictly(content, len(mark), encoding, path), encoding)
    wide = _wide_encoding(content)
    if wide:
        return Text(content.decode(wide), wide, guessed=True)
    try:
        text = content.decode()
    except UnicodeDecodeError as cause:
        if _is_damaged_utf8(content):
            raise _broken(content, cause.start, "UTF-8", path) from cause
        encoding = _narrow_encoding(content)
        if not encoding:
            raise _unknown(content, cause.start, path) from cause
        text = content.decode(encoding)
        return Text(_without_nul(text, content, path), encoding, guessed=True)
    return Text(_without_nul(text, content, path), "utf-8")


def _strictly(content: bytes, start: int, encoding: str, path: str) -> str:
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as cause:
        raise _broken(content, start + cause.start, _SHOWN[encoding], path) from cause
    return _without_nul(text, content, path)


def _wide_encoding(content: bytes) -> str:
    """UTF-16 without a mark, told by where its zero bytes stand; "" for other text."""
    sample = content[: _SAMPLE - _SAMPLE % 2]
    zeros = (sample[::2].count(0), sample[1::2].count(0))
    if not any(zeros) or all(zeros) or len(content) % 2:
        return ""
    encoding = "utf-16-be" if zeros[0] else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return ""
    sure = sum(zeros) >= _SURE_SHARE * len(sample) or "\n" in text or "\r" in text
    return encoding if sure and "\0" not in text else ""


def _is_damaged_utf8(content: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8: read otherwise, one bad byte would turn all accents into rubbish."""
    sample = content[:_SAMPLE].decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= character <= "\udcff" for character in sample)
    whole = sum(character > "\x7f" for character in sample) - broken
    return whole > 0 and whole >= broken


def _narrow_encoding(content: bytes) -> str:
    """Windows-1252 or GB18030 for bytes that are no UTF-8; "" for what is neither."""
    encodings = ("gb18030", "cp1252") if _looks_chinese(content[:_SAMPLE]) else ("cp1252", "gb18030")
    return next((encoding for encoding in encodings if _decodes(content, encoding)), "")


def _looks_chinese(content: bytes) -> bool:
    """Whether most of what is not ASCII would be common Chinese. Accented small letters in pairs would be rare ones."""
    pairs = [pair for pair in _ANY_PAIR.findall(content) if pair]
    common = sum(_COMMON_CHINESE.fullmatch(pair) is not None for pair in pairs)
    return common * 2 > len(pairs)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _without_nul(text: str, content: bytes, path: str) -> str:
    if "\0" in text:
        raise GlossaryError(
            f"{path} holds a NUL byte at offset {content.index(0)}, so it is no text; export the glossary as CSV in "
            f"UTF-8"
        )
    return text


def _broken(content: bytes, offset: int, encoding: str, path: str) -> GlossaryError:
    return GlossaryError(
        f"{path} is damaged {encoding}: {_byte(content, offset)} is no part of a character; save it as UTF-8 once more"
    )


def _unknown(content: bytes, offset: int, path: str) -> GlossaryError:
    return GlossaryError(
        f"{path} is neither a workbook nor a text in an encoding that is known (UTF-8, UTF-16, Windows-1252, GB18030): "
        f"{_byte(content, offset)} is the first that does not fit; save the glossary as XLSX, or as CSV in UTF-8"
    )


def _byte(content: bytes, offset: int) -> str:
    line = content.count(b"\n", 0, offset) + 1
    return f"byte 0x{content[offset]:02x} at offset {offset} (line {line})"
