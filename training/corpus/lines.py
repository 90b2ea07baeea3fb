"""Files of rows, JSON lists and JSON lines alike, one row at a time; and files written whole or not at all."""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeAlias

import ijson

from streaming.durable import STAGING_PREFIX
from training.corpus.manifest import ManifestError
from training.corpus.nesting import MOST_LEVELS, TOO_DEEP, ShallowStream, is_deep

_LONGEST_LINE = 1 << 24
_LISTED = 1_000
_OPENING = 4_096
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_JSON = json.JSONEncoder(ensure_ascii=False)
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its file, its number from 1 (of the line, or in the JSON list), and why."""

    file: Path
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.number}: {self.reason}; mend or remove it"


OnBad: TypeAlias = Callable[[BadRow], None]


def refuse(bad: BadRow) -> NoReturn:
    """Raises ManifestError: the first bad row ends the reading."""
    raise ManifestError(str(bad))


@dataclass(slots=True)
class BadRows:
    """Collects bad rows: all are counted, the first thousand are listed."""

    count: int = 0
    listed: list[BadRow] = field(default_factory=list)

    def __call__(self, bad: BadRow) -> None:
        """Skip and remember a row."""
        self.count += 1
        if len(self.listed) < _LISTED:
            self.listed.append(bad)

    def judge(self, good: int, max_share: float) -> None:
        """Raises ManifestError where more than `max_share` of all rows, the `good` ones included, were bad."""
        rows = good + self.count
        if self.count and self.count > max_share * rows:
            raise ManifestError(
                f"{self.count} of {rows} rows cannot be used, more than {max_share:.0%}; the first: {self.listed[0]}"
            )


@dataclass(frozen=True, slots=True)
class RawRow:
    """A JSON object with its place."""

    file: Path
    number: int
    value: Mapping[str, Any]


def row_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and for a folder its .json and .jsonl files by name, numbers in names by value.

    Of a folder, hidden files, files in which nothing stands and folders in it are no shards.

    Raises:
        ManifestError: a path that is not there or no regular file, or a folder without rows.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise ManifestError(f"{path} is not there; name a file of rows or a folder of shards")
            refuse_special(path)
            files.append(path)
            continue
        named = (f for f in path.iterdir() if f.suffix in {".json", ".jsonl"} and not f.name.startswith("."))
        shards = [f for f in named if not f.is_dir()]
        if not shards:
            raise ManifestError(f"the folder {path} holds no .json or .jsonl file; name the folder of the shards")
        filled = [shard for shard in shards if not _is_empty(shard)]
        if not filled:
            raise ManifestError(f"no file in the folder {path} holds a row; name the folder of the shards")
        files += sorted(filled, key=_by_name)
    return files


def refuse_special(path: Path) -> None:
    """Raises ManifestError for a pipe or a device: opening one may wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ManifestError(f"{path} is no regular file; write its rows to one")


def _is_empty(path: Path) -> bool:
    """Whether a file holds nothing, or an empty list; one that cannot be read is left to its reader to tell of."""
    refuse_special(path)
    try:
        with path.open("rb") as stream:
            opening = stream.read(_OPENING)
    except OSError:
        return False
    return len(opening) < _OPENING and b"".join(opening.removeprefix(_BOM).split()) in (b"", b"[]")


def _by_name(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(path.name) if part]


def raw_rows(path: Path, on_bad: OnBad = refuse) -> Iterator[RawRow]:
    """The objects of a JSON list, or of JSON lines, in order; blank lines are passed over.

    Args:
        path: which of the two it holds is told by its first sign.
        on_bad: called for a line that is not JSON and for a row that is no object.

    Raises:
        ManifestError: the file cannot be read, is empty or UTF-16, or is a JSON list that breaks off, is not JSON or
            is nested too deeply: what follows the break cannot be told apart into rows.
    """
    refuse_special(path)
    try:
        with path.open("rb") as stream:
            opening = stream.read(_OPENING)
            stream.seek(len(_BOM) if opening.startswith(_BOM) else 0)
            if opening.startswith(_UTF16_BOMS) or b"\0" in opening[:4]:
                raise ManifestError(f"{path} is not UTF-8; save it as UTF-8")
            opening = opening.removeprefix(_BOM).lstrip()
            if not opening:
                raise ManifestError(f"{path} holds no rows; name a file of rows")
            yield from _list_rows(path, stream, on_bad) if opening[:1] == b"[" else _line_rows(path, stream, on_bad)
    except OSError as error:
        raise ManifestError(f"cannot read the rows of {path}: {error.strerror}; check its name") from error


def _list_rows(path: Path, stream: BinaryIO, on_bad: OnBad) -> Iterator[RawRow]:
    number = 0
    values = ijson.items(ShallowStream(stream), "item", use_float=True)
    while True:
        try:
            value = next(values)
        except StopIteration:
            return
        except (ijson.JSONError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ManifestError(
                f"{path}: not sound JSON after row {number} ({said}); restore the file or cut it there"
            ) from error
        number += 1
        if isinstance(value, dict):
            yield RawRow(path, number, value)
        else:
            on_bad(BadRow(path, number, f"{str(value)[:80]!r} is no JSON object"))


def _line_rows(path: Path, stream: BinaryIO, on_bad: OnBad) -> Iterator[RawRow]:
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise ManifestError(f"{path}, line {number} is longer than 16 MiB; write one JSON object a line")
        if not line.strip():
            continue
        try:
            value = object_of(line)
        except ValueError as error:
            on_bad(BadRow(path, number, str(error)))
        else:
            yield RawRow(path, number, value)


def object_of(line: bytes) -> Mapping[str, Any]:
    """The JSON object in one line. Raises ValueError that says what is wrong with it."""
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error}); save it as UTF-8") from error
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if line.count(b"[") + line.count(b"{") > MOST_LEVELS and is_deep(value):
        raise ValueError(TOO_DEEP)
    if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:80]!r} is no JSON object")
    return value


def json_bytes(value: object) -> bytes:
    """One line of JSON in UTF-8, without its end; lone surrogates, which UTF-8 cannot hold, stay escaped."""
    try:
        return _JSON.encode(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes stand at `path` once the block has ended; if it fails, `path` is as it was.

    Raises:
        ManifestError: the disk refuses, with the path and the cause.
    """
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        staging.replace(path)
    except OSError as error:
        raise ManifestError(
            f"cannot write {path}: {error.strerror or error}; free space there or choose another place"
        ) from error
    finally:
        staging.unlink(missing_ok=True)
