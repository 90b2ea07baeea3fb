"""A glossary file as bytes, read once, so that what is hashed is what is parsed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import GlossaryError
from streaming.index_folder import GlossarySource

MAX_BYTES = 256 * 2**20
_BOM = b"\xef\xbb\xbf"
_FOREIGN = (
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"PK\x03\x04", "a zip archive (XLSX, ODS or DOCX)"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (XLS or DOC)"),
    (b"SQLite format 3", "an SQLite database"),
)


@dataclass(frozen=True, slots=True)
class GlossaryFile:
    """The content of a glossary file; `path` only for messages."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def source(self) -> GlossarySource:
        """What an index remembers of this file."""
        return GlossarySource(self.path.name, self.sha256, len(self.content))

    def text(self) -> str:
        """The content as text, without a byte order mark.

        Raises:
            GlossaryError: it is not UTF-8; names the byte and the cure.
        """
        for magic, kind in _FOREIGN:
            if self.content.startswith(magic):
                raise GlossaryError(f"{self.path} is {kind}; export the glossary as CSV in UTF-8")
        start = len(_BOM) if self.content.startswith(_BOM) else 0
        try:
            text = self.content[start:].decode()
        except UnicodeDecodeError as cause:
            offset = start + cause.start
            line = self.content.count(b"\n", 0, offset) + 1
            raise GlossaryError(
                f"{self.path} is not UTF-8: byte 0x{self.content[offset]:02x} at offset {offset} (line {line}); "
                f"save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
            ) from cause
        if "\0" in text:
            raise GlossaryError(
                f"{self.path} holds a NUL byte at offset {start + self.content[start:].index(0)}, so it is no text; "
                f"export the glossary as CSV in UTF-8"
            )
        return text


def read_source(path: Path) -> GlossaryFile:
    """Read a glossary file.

    Raises:
        GlossaryError: it is missing, no regular file, unreadable or larger than `MAX_BYTES`.
    """
    try:
        # Opening a pipe would wait for a writer for ever, and a device never ends.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise GlossaryError(f"{path} is a pipe or device, not a regular file; save the glossary to a file first")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as cause:
        raise GlossaryError(f"there is no glossary file {path}; check the name") from cause
    except IsADirectoryError as cause:
        raise GlossaryError(f"{path} is a folder; name the glossary file in it") from cause
    except OSError as cause:
        raise GlossaryError(f"the glossary {path} cannot be read: {cause.strerror}; check its permissions") from cause
    if len(content) > MAX_BYTES:
        raise GlossaryError(f"{path} is larger than {MAX_BYTES // 2**20} MiB; split the glossary")
    return GlossaryFile(path, content)
