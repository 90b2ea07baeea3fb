"""What was once computed of a form is not computed again: one SQLite file per encoder, in the cache folder.

A row is a kind ("vector", "background", "words", "said"), a key of 16 bytes and a value with its checksum. The
encoder's id, which is a hash of every file of the model, names the file: another model never sees these rows. Batches
are committed as they come, so a build that was stopped, or killed, goes on where it was. Two builds at a time share the
file; one waits for the other's commit. A damaged row, or file, counts as not known and is made anew. Beyond its bound
the file forgets its oldest rows, and the folder the files that were used longest ago.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from streaming.errors import IndexFolderError

MAX_BYTES = 4 << 30
MAX_FILES = 4
# Raised whenever the same form is computed, or kept, in another way.
_READING = 4
_KEY_BYTES = 16
_CHECK_BYTES = 4
_ASKED_AT_ONCE = 50_000
# In the time of the way to one key, so many rows are read in a row.
_READ_PER_KEY = 8
_WAIT_SECONDS = 120.0
_MAPPED_BYTES = 1 << 30
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS forms (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key BLOB NOT NULL,"
    " value BLOB NOT NULL, UNIQUE (kind, key))"
)


def key_of(text: str, *more: bytes) -> bytes:
    """16 bytes that change with any of the parts and with the bounds between them."""
    first = text.encode()
    whole = b"%d:%b" % (len(first), first)
    if more:
        whole += b"".join([b"%d:%b" % (len(part), part) for part in more])
    return hashlib.sha256(whole).digest()[:_KEY_BYTES]


def _checksum(value: bytes) -> bytes:
    return zlib.crc32(value).to_bytes(_CHECK_BYTES, "little")


class FormCache:
    """The rows of one encoder. Every method raises IndexFolderError where the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._connection, self._path, self._max_bytes = connection, path, max_bytes

    def find(self, kind: str, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """The positions of those keys that are known, with their values, in any order."""
        with _told(self._path):
            try:
                for position, stored in self._stored(kind, keys):
                    value = stored[:-_CHECK_BYTES]
                    if stored[-_CHECK_BYTES:] == _checksum(value):
                        yield position, value
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)

    def keep(self, kind: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Write keys with their values; they are on the disk when this returns."""
        stored = [(kind, key, value + _checksum(value)) for key, value in rows]
        with _told(self._path):
            try:
                self._write(stored)
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
                self._write(stored)
        with _told(self._path), self._connection:
            if self._used_bytes() > self._max_bytes:
                self._forget()

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def _stored(self, kind: str, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        # In two questions each is a look at an end of the table, in one a way through all of it.
        query = "SELECT (SELECT MAX(number) FROM forms) - (SELECT MIN(number) FROM forms)"
        (rows,) = self._connection.execute(query).fetchone()
        return self._one_by_one(kind, keys) if len(keys) * _READ_PER_KEY < (rows or 0) else self._of_all(kind, keys)

    def _of_all(self, kind: str, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Read the file from its beginning to its end; who asks for a large part of it saves the way to each key."""
        positions: dict[bytes, list[int]] = {}
        for position, key in enumerate(keys):
            positions.setdefault(key, []).append(position)
        # The plus keeps the index out of it, which would go to each row by itself.
        for key, value in self._connection.execute("SELECT key, value FROM forms WHERE +kind = ?", (kind,)):
            for position in positions.get(key, ()):
                yield position, value

    def _one_by_one(self, kind: str, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        self._connection.execute("CREATE TEMP TABLE IF NOT EXISTS asked (position INTEGER PRIMARY KEY, key BLOB)")
        for first in range(0, len(keys), _ASKED_AT_ONCE):
            some = keys[first : first + _ASKED_AT_ONCE]
            with self._connection:
                self._connection.execute("DELETE FROM asked")
                self._connection.executemany("INSERT INTO asked VALUES (?, ?)", enumerate(some, first))
            query = "SELECT position, value FROM asked JOIN forms ON kind = ? AND forms.key = asked.key"
            yield from self._connection.execute(query, (kind,))

    def _write(self, stored: Sequence[tuple[str, bytes, bytes]]) -> None:
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO forms (kind, key, value) VALUES (?, ?, ?)", stored)

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """Put an empty file in the place of a damaged one; raises `error` where the file is not what is wrong."""
        if isinstance(error, sqlite3.OperationalError):
            raise error
        self._connection.close()
        self._path.unlink(missing_ok=True)
        self._connection = _connect(self._path)

    def _forget(self) -> None:
        """Remove the oldest quarter of the rows; the file uses their pages again."""
        query = "DELETE FROM forms WHERE number < (SELECT MIN(number) + (MAX(number) - MIN(number)) / 4 + 1 FROM forms)"
        self._connection.execute(query)

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
        # Keys are asked for all over the file: without, each is a read of its page.
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        with connection:
            connection.execute(_SCHEMA)
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(forms)")]
        if columns != ["number", "kind", "key", "value"]:
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
