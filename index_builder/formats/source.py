"""A glossary file as bytes, read once, so that what is hashed is what is parsed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from index_builder.formats.text_encoding import Text, decode
from streaming.errors import GlossaryError
from streaming.index.index_folder import GlossarySource

MAX_BYTES = 256 * 2**20


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

    def text(self) -> Text:
        """The content as text, without a byte order mark, and its encoding.

        Raises:
            GlossaryError: it is no text in an encoding that is known; names the byte and the cure.
        """
        return decode(self.content, str(self.path))


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
