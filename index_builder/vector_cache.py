"""What was once computed of a form is not computed again: one SQLite file per encoder, in the cache folder.

A row is a kind ("vector", "background", "words", "said"), a key of 16 bytes and a value; rows that were kept together
lie in blocks with a checksum each. The encoder's id, which is a hash of every file of the model, names the file:
another model never sees these rows. Batches are committed as they come, so a build that was stopped, or killed, goes on
where it was. Two builds at a time share the file; one waits for the other's commit. A damaged block, or file, counts as
not known and is made anew. Beyond its bound the file forgets its oldest blocks, and the folder the files that were used
longest ago.
"""

import hashlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from index_builder.cached_blocks import KEY_BYTES, AskedKeys, Block, FoundRows
from streaming.errors import IndexFolderError

MAX_BYTES = 4 << 30
MAX_FILES = 4
# Raised whenever the same form is computed, or kept, in another way.
_READING = 5
# Each asked key costs the look at a whole block, and each block some microseconds.
_ROWS_OF_BLOCK = 512
_WAIT_SECONDS = 120.0
_MAPPED_BYTES = 1 << 30
_COLUMNS = ["number", "kind", "keys", "sizes", "checksum", "content"]
# Who looks for keys reads no content: it comes last.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS blocks (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, keys BLOB NOT NULL,"
    " sizes BLOB NOT NULL, checksum INTEGER NOT NULL, content BLOB NOT NULL)"
)


def key_of(text: str, *more: bytes) -> bytes:
    """16 bytes that change with any of the parts and with the bounds between them."""
    first = text.encode()
    whole = b"%d:%b" % (len(first), first)
    if more:
        whole += b"".join([b"%d:%b" % (len(part), part) for part in more])
    return hashlib.sha256(whole).digest()[:KEY_BYTES]


class FormCache:
    """The rows of one encoder. Every method raises IndexFolderError where the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._connection, self._path, self._max_bytes = connection, path, max_bytes

    def find(self, kind: str, keys: Sequence[bytes]) -> Iterator[FoundRows]:
        """The rows whose keys are known, block by block; of a key that was kept several times the last counts."""
        with _told(self._path):
            try:
                yield from self._found(kind, AskedKeys(keys))
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)

    def keep(self, kind: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Write keys with their values; they are on the disk when this returns."""
        left = iter(rows)
        blocks = []
        while some := list(itertools.islice(left, _ROWS_OF_BLOCK)):
            blocks.append(Block.of(some))
        with _told(self._path):
            try:
                self._write(kind, blocks)
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
                self._write(kind, blocks)
        with _told(self._path), self._connection:
            if self._used_bytes() > self._max_bytes:
                self._forget()

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def _found(self, kind: str, asked: AskedKeys) -> Iterator[FoundRows]:
        query = "SELECT number, keys FROM blocks WHERE kind = ? ORDER BY number"
        # All of them at once: nobody who writes has to wait until the last one is looked at.
        there = [row for row in self._connection.execute(query, (kind,)) if len(row[1]) % KEY_BYTES == 0]
        places, rows = asked.among(b"".join([keys for _, keys in there]))
        ends = np.cumsum([len(keys) // KEY_BYTES for _, keys in there], dtype=np.int64)
        bounds = np.searchsorted(rows, ends).tolist()
        for (number, keys), end, first, last in zip(there, ends.tolist(), [0, *bounds], bounds, strict=False):
            if first < last and (block := self._block(number)) is not None and block.keys == keys:
                start = end - len(keys) // KEY_BYTES
                yield FoundRows(places[first:last], rows[first:last] - start, block)

    def _block(self, number: int) -> Block | None:
        """A block; None where it is damaged, or was forgotten meanwhile."""
        query = "SELECT keys, sizes, content, checksum FROM blocks WHERE number = ?"
        row = self._connection.execute(query, (number,)).fetchone()
        if row is None:
            return None
        block = Block(*row[:3])
        return block if block.checksum == row[3] else None

    def _write(self, kind: str, blocks: Sequence[Block]) -> None:
        rows = [(kind, block.keys, block.sizes, block.checksum, block.values) for block in blocks]
        with self._connection:
            self._connection.executemany(
                "INSERT INTO blocks (kind, keys, sizes, checksum, content) VALUES (?, ?, ?, ?, ?)", rows
            )

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """Put an empty file in the place of a damaged one; raises `error` where the file is not what is wrong."""
        if isinstance(error, sqlite3.OperationalError):
            raise error
        self._connection.close()
        self._path.unlink(missing_ok=True)
        self._connection = _connect(self._path)

    def _forget(self) -> None:
        """Remove the oldest quarter of the blocks; the file uses their pages again."""
        first_kept = "SELECT MIN(number) + (MAX(number) - MIN(number)) / 4 + 1 FROM blocks"
        self._connection.execute(f"DELETE FROM blocks WHERE number < ({first_kept})")

    def _used_bytes(self) -> int:
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(size * (pages - free))


@contextmanager
def form_cache(folder: Path, encoder_id: str, max_bytes: int = MAX_BYTES) -> Iterator[FormCache]:
    """Open the cache of an encoder while the block runs. A file that is no database is begun anew.

    Args:
        folder: made if it is missing.
        encoder_id: the model whose forms these are.
        max_bytes: of the file, about.

    Raises:
        IndexFolderError: the folder cannot be written, or another process holds the file for minutes.
    """
    name = hashlib.sha256(f"{_READING} {encoder_id}".encode()).hexdigest()[:32]
    path = folder / f"{name}.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise _unusable(path, cause.strerror or str(cause)) from cause
    with _told(path):
        try:
            connection = _connect(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            connection = _connect(path)
    with closing(FormCache(connection, path, max_bytes)) as cache:
        _remove_oldest(folder, path)
        yield cache


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        # A large build reads all of the file, and copies no page for it.
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        with connection:
            connection.execute(_SCHEMA)
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(blocks)")]
        if columns != _COLUMNS:
            raise sqlite3.DatabaseError(f"it has the columns {columns}")
    except sqlite3.Error:
        connection.close()
        raise
    path.touch()
    return connection


def _remove_oldest(folder: Path, kept: Path) -> None:
    """Remove the databases used longest ago; who has one open keeps it until it closes."""
    others = sorted((p for p in folder.glob("*.sqlite") if p != kept), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in others[MAX_FILES - 1 :]:
        path.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as cause:
        raise _unusable(path, str(cause)) from cause


def _unusable(path: Path, cause: str) -> IndexFolderError:
    return IndexFolderError(f"the cache {path} cannot be used: {cause}; free space there, or remove the file")
