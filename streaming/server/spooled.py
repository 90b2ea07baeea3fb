"""A recording that came over HTTP, in a temporary file that has no name, where the system knows such."""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from streaming.containers import container_of
from streaming.errors import AudioError
from streaming.sources import FileSource

Patience: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""A block in which somebody is waited for; raises TimeoutError."""
_RAW_CHUNK_BYTES = 16_384
# Where Linux lets a process open its own files once more, those without a name included.
_OPEN_FILES = Path("/proc/self/fd")


class TooBig(Exception):
    """The recording has more bytes than may be."""


class TooSlow(Exception):
    """The recording does not come in time."""


class Spooled:
    """One recording; `remove` takes it from the disk, however far it has come.

    A file without a name leaves nothing behind even where the process is killed.
    """

    def __init__(self, stream: BinaryIO, path: Path, *, is_named: bool) -> None:
        self._stream, self._path, self._is_named = stream, path, is_named
        self._lock = threading.Lock()
        self._readers = 0
        self._is_removed = False

    @classmethod
    def begun(cls) -> "Spooled":
        """An empty one. Raises OSError."""
        nameless = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  `remove` closes it
        path = _OPEN_FILES / str(nameless.fileno())
        if path.exists():
            return cls(nameless, path, is_named=False)
        nameless.close()
        named = tempfile.NamedTemporaryFile(prefix="termcue-", delete=False)  # noqa: SIM115
        return cls(cast(BinaryIO, named), Path(named.name), is_named=True)

    async def fill(self, parts: AsyncIterator[bytes], most_bytes: int, patience: Patience, whole_s: float) -> None:
        """Write what comes.

        Args:
            parts: of the recording.
            most_bytes: it may have.
            patience: waits for one part.
            whole_s: how long all of it may take.

        Raises:
            TooBig, TooSlow: as they say.
            OSError: the disk is full.
        """
        size = 0
        try:
            async with asyncio.timeout(whole_s):
                while True:
                    async with patience():
                        part = await anext(parts, None)
                    if part is None:
                        break
                    size += len(part)
                    if size > most_bytes:
                        raise TooBig
                    await asyncio.to_thread(self._stream.write, part)
                await asyncio.to_thread(self._stream.flush)
        except TimeoutError as error:
            raise TooSlow from error

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._path.stat().st_size

    def source(self) -> FileSource:
        """It as an audio file. Raises AudioError."""
        with self._read() as is_there:
            if not is_there:
                raise AudioError("the recording is gone")
            return FileSource(self._path)

    def check_raw(self) -> None:
        """Raises AudioError where it is gone, empty, or no raw samples but an audio file or text."""
        with self._read() as is_there:
            if not is_there:
                raise AudioError("the recording is gone")
            with self._path.open("rb") as raw:
                head = raw.read(_RAW_CHUNK_BYTES)
        if not head:
            raise AudioError("the recording holds no audio (0 bytes): send its samples as the body")
        if (container := container_of(head)) is not None:
            raise AudioError(
                f"the recording is {container}, not raw linear16: send an audio file without encoding, sample_rate and "
                "channels in the address"
            )

    def raw_chunks(self) -> Iterator[bytes]:
        """It as raw samples."""
        with self._path.open("rb") as raw:
            while chunk := raw.read(_RAW_CHUNK_BYTES):
                yield chunk

    def next_of(self, chunks: Iterator[bytes]) -> bytes | None:
        """The next of its chunks; None after the last, and once it is removed. Raises AudioError."""
        with self._read() as is_there:
            return next(chunks, None) if is_there else None

    def nameless(self, message: str) -> str:
        """A message without a word of where it lies."""
        return message.replace(str(self._path), "the recording")

    def remove(self) -> None:
        """Take it from the disk, once no thread opens it any more; further calls do nothing."""
        with self._lock:
            self._is_removed = True
            self._tidy()

    @contextlib.contextmanager
    def _read(self) -> Iterator[bool]:
        """Whether it is still there, and stays: the number of a closed file may be that of another's recording."""
        with self._lock:
            is_there = not self._is_removed
            self._readers += 1
        try:
            yield is_there
        finally:
            with self._lock:
                self._readers -= 1
                self._tidy()

    def _tidy(self) -> None:
        if self._is_removed and not self._readers:
            # What could not be written any more is not wanted any more.
            with contextlib.suppress(OSError):
                self._stream.close()
            if self._is_named:
                self._path.unlink(missing_ok=True)
