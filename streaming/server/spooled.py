"""A recording that came over HTTP, in a temporary file of a name of our own."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from streaming.sources import FileSource

_RAW_CHUNK_BYTES = 16_384


class TooBig(Exception):
    """The recording has more bytes than may be."""


class TooSlow(Exception):
    """The recording does not come in time."""


class Spooled:
    """One recording; `remove` takes it from the disk, however far it has come."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def begun(cls) -> "Spooled":
        """An empty one. Raises OSError."""
        with tempfile.NamedTemporaryFile(prefix="termcue-", delete=False) as spooled:
            return cls(Path(spooled.name))

    async def fill(self, parts: AsyncIterator[bytes], most_bytes: int, patience_s: float, whole_s: float) -> None:
        """Write what comes.

        Args:
            parts: of the recording.
            most_bytes: it may have.
            patience_s: how long one part may take.
            whole_s: how long all of it may take.

        Raises:
            TooBig, TooSlow: as they say.
            OSError: the disk is full.
        """
        size = 0
        try:
            with self._path.open("wb") as spooled:
                async with asyncio.timeout(whole_s):
                    while (part := await asyncio.wait_for(anext(parts, None), patience_s)) is not None:
                        size += len(part)
                        if size > most_bytes:
                            raise TooBig
                        await asyncio.to_thread(spooled.write, part)
        except TimeoutError as error:
            raise TooSlow from error

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._path.stat().st_size

    def source(self) -> FileSource:
        """It as an audio file. Raises AudioError."""
        return FileSource(self._path)

    def raw_chunks(self) -> Iterator[bytes]:
        """It as raw samples."""
        with self._path.open("rb") as raw:
            while chunk := raw.read(_RAW_CHUNK_BYTES):
                yield chunk

    def nameless(self, message: str) -> str:
        """A message without a word of where it lies."""
        return message.replace(str(self._path), "the recording")

    def remove(self) -> None:
        """Take it from the disk; further calls do nothing."""
        self._path.unlink(missing_ok=True)
