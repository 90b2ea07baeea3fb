"""Shards of rows -> one file without repeated rows, in memory that grows by eight bytes a row."""

import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streaming.errors import SettingError
from training.corpus.lines import BadRow, BadRows, OnBad, json_bytes, raw_rows, refuse, row_files, whole_file
from training.corpus.paths import real_path
from training.corpus.schemas import parted

_AUDIO_KEYS = ("term_chunk_audio", "audio", "path")
_DISTINCT_KEYS = (
    "start_sample", "samples", "begin_time", "end_time", "extended_start_time", "extended_end_time",
    "extended_duration", "term_start_time", "term_end_time", "term_chunk_audio_ground_truth_terms", "term_spans",
    "ground_truth_term", "terms",
)  # fmt: skip
_BUFFERED = 1 << 16


class SeenKeys:
    """A set of strings that keeps eight bytes of each: 64-bit digests, in sorted runs that double in length."""

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._runs: list[array[int]] = []

    def add(self, key: str) -> bool:
        """Whether the key is new; it is remembered."""
        digest = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        if digest in self._new or any(_holds(run, digest) for run in self._runs):
            return False
        self._new.add(digest)
        if len(self._new) >= _BUFFERED:
            self._flush()
        return True

    def _flush(self) -> None:
        run = array("Q", sorted(self._new))
        self._new.clear()
        while self._runs and len(self._runs[-1]) <= len(run):
            joined = np.concatenate([np.frombuffer(self._runs.pop(), np.uint64), np.frombuffer(run, np.uint64)])
            joined.sort()
            run = array("Q", joined.tobytes())
        self._runs.append(run)


def _holds(run: "array[int]", digest: int) -> bool:
    place = bisect_left(run, digest)
    return place < len(run) and run[place] == digest


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Rows written, rows left out because an earlier one is the same, and rows that cannot be used."""

    rows: int
    duplicates: int
    bad: int


def shards_without(paths: Iterable[Path], left_out: Iterable[Path]) -> list[Path]:
    """The files of paths, folders by their files, without some of them: test rows must not be merged with the others.

    Raises:
        SettingError: a file that is to be left out is not among them, or nothing else is.
        ManifestError: a path that is not there.
    """
    shards = row_files(paths)
    unwanted = {path.resolve(): path for path in left_out}
    strangers = unwanted.keys() - {shard.resolve() for shard in shards}
    if strangers:
        raise SettingError(f"{unwanted[min(strangers)]} is none of the shards, so it cannot be left out; correct it")
    kept = [shard for shard in shards if shard.resolve() not in unwanted]
    if not kept:
        raise SettingError(f"all {len(shards)} shards are left out; nothing remains to merge")
    return kept


def merge_rows(
    paths: Iterable[Path], out: Path, *, on_bad: OnBad | None = None, max_bad_share: float = 1.0
) -> MergeCounts:
    """Write the rows of files and folders, in order, to one file, whole or not at all.

    Two rows are the same if segment, audio file, stretch of it and terms are: a segment has one chunk for each of its
    terms, and shards of different folders may name different files alike. Audio that was named relative to its shard
    is named so that it is found from `out`.

    Args:
        paths: JSON lists or JSON lines; for a folder its files by name.
        out: ends in .json (a list) or .jsonl; it is no shard even where it lies among them.
        on_bad: called with each row that cannot be used; None: the first one is an error.
        max_bad_share: nothing is written where more of the rows than this are bad.

    Raises:
        SettingError: `out` has another ending.
        ManifestError: a file that cannot be read or written, a bad row, or too many.
    """
    if out.suffix not in {".json", ".jsonl"}:
        raise SettingError(f"{out} ends neither in .json nor in .jsonl; name the merged file so")
    opening, between, closing = (b"[\n", b",\n", b"\n]\n") if out.suffix == ".json" else (b"", b"\n", b"\n")
    files = [file for file in row_files(paths) if file.resolve() != out.resolve()]
    seen, bad, rows, duplicates = SeenKeys(), BadRows(), 0, 0

    def told(row: BadRow) -> None:
        bad(row)
        (on_bad or refuse)(row)

    with whole_file(out) as stream:
        stream.write(opening)
        for file in files:
            prefix = _prefix(file.parent, out.parent)
            for raw in raw_rows(file, told):
                try:
                    key = identity(raw.value, file.parent)
                except ValueError as error:
                    told(BadRow(raw.file, raw.number, str(error)))
                    continue
                if not seen.add(key):
                    duplicates += 1
                else:
                    stream.write((between if rows else b"") + json_bytes(_moved(raw.value, prefix)))
                    rows += 1
        if rows or out.suffix == ".json":
            stream.write(closing)
        # Inside the block: what is raised here leaves no file.
        bad.judge(rows + duplicates, max_bad_share)
    return MergeCounts(rows, duplicates, bad.count)


def identity(row: Mapping[str, Any], folder: Path) -> str:
    """What two equal rows share.

    Args:
        row: of any of the three forms.
        folder: of its shard, from which its audio is named.

    Raises:
        ValueError: it has no name, or names audio as no file can be named.
    """
    name = row.get("segment_id", row.get("id"))
    if name is None:
        raise ValueError("it has neither segment_id nor id")
    key = next((key for key in _AUDIO_KEYS if key in row), "")
    audio = row.get(key)
    stretch: tuple[str, int, int] | None = None
    if isinstance(audio, str):
        path, start, samples = parted(audio) if key != "path" else (audio, 0, 0)
        try:
            stretch = (real_path(os.path.join(folder, path)), start, samples)  # noqa: PTH118 - a Path a row is slow
        except ValueError as error:
            raise ValueError(f"its {key} {audio!r} cannot name a file ({error})") from error
    return repr((name, stretch or audio, *map(row.get, _DISTINCT_KEYS)))


def _prefix(shards: Path, folder: Path) -> str:
    """What stands before a relative path in `shards` to make it one in `folder`, or an absolute one."""
    shards, folder = shards.absolute(), folder.absolute()
    if shards == folder:
        return ""
    return f"{shards.relative_to(folder) if shards.is_relative_to(folder) else shards}/"


def _moved(row: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """The row with its audio, `path` or `path:offset:frames`, named by another folder."""
    key = next((key for key in _AUDIO_KEYS if key in row), "")
    named = row.get(key)
    if not prefix or not isinstance(named, str) or os.path.isabs(named):  # noqa: PTH117 - a Path a row is slow
        return row
    return {**row, key: prefix + named}
