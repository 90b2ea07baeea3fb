"""Rows of files and folders of shards -> examples, one at a time, and examples -> files of our own form."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from training.corpus.examples import Example
from training.corpus.lines import (
    BadRow,
    OnBad,
    RawRow,
    json_bytes,
    object_of,
    raw_rows,
    refuse,
    refuse_special,
    row_files,
    whole_file,
)
from training.corpus.manifest import ManifestError
from training.corpus.schemas import example_of, row_of


def read_examples(
    paths: Iterable[Path], *, single_slice: bool = False, on_bad: OnBad | None = None
) -> Iterator[Example]:
    """Examples of files and of folders of shards, in order, never a whole file in memory.

    Args:
        paths: JSON lists and JSON lines of any of the three forms; for a folder its files by name.
        single_slice: only the first file.
        on_bad: called with each row that cannot be used (`BadRows` collects them); None: the first one is an error.

    Raises:
        ManifestError: a file that cannot be read, or a bad row; names file, row, value and cure.
    """
    told = on_bad or refuse
    files = row_files(paths)
    for file in files[:1] if single_slice else files:
        for raw in raw_rows(file, told):
            try:
                example = example_of(raw)
            except (ValueError, OverflowError) as error:
                told(BadRow(raw.file, raw.number, str(error)))
            else:
                yield example


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write JSON lines of our own form, whole or not at all; gives their number."""
    count = 0
    with whole_file(path) as stream:
        for example in examples:
            stream.write(json_bytes(row_of(example, path.parent)) + b"\n")
            count += 1
    return count


class ExampleFile(Sequence[Example]):
    """The rows of JSON lines by number, read from the disk when asked for: eight bytes a row in memory.

    Args:
        path: JSON lines of any of the three forms, such as `write_examples` wrote.

    Raises:
        ManifestError: the file cannot be read; on access also a bad row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        refuse_special(path)
        starts, position = [], 0
        try:
            with path.open("rb") as stream:
                for line in stream:
                    if line.strip():
                        starts.append(position)
                    position += len(line)
        except OSError as error:
            raise ManifestError(f"cannot read the rows of {path}: {error.strerror}; check its name") from error
        self._starts = np.array(starts, np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        # Opened anew each time: a stream shared by forked readers would share its position too.
        with self._path.open("rb") as stream:
            stream.seek(self._starts[number])
            line = stream.readline()
        try:
            return example_of(RawRow(self._path, number + 1, object_of(line)))
        except (ValueError, OverflowError) as error:
            refuse(BadRow(self._path, number + 1, str(error)))
