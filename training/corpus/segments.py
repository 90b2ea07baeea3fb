"""The manifest of a corpus: a table of segments of recordings, parted by tabs, one segment a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.corpus.lines import refuse_special
from training.corpus.manifest import ManifestError
from training.corpus.schemas import Source, recording_of, source_of

COLUMNS = ("id", "audio", "n_frames", "speaker", "src_text")
_MOST_DIGITS = 12
_UNKNOWN = frozenset({"", "n/a", "na", "none", "unknown", "-"})
_NAME = re.compile(r"[^./\\\0][^/\\\0]*")


@dataclass(frozen=True, slots=True)
class Segment:
    """One line: a stretch of a recording at 16 kHz, who speaks ("" where unknown) and what is said."""

    segment_id: str
    source: Source
    recording: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """A manifest TSV; the audio of a line is `path` or `path:offset:frames`, relative to its folder or absolute."""

    path: Path

    def lines(self) -> Iterator[tuple[int, str]]:
        """(number from 1, line) of every line after the header that is not blank.

        Raises:
            ManifestError: the file cannot be read, is not UTF-8, or its header lacks a column.
        """
        self.header()
        try:
            with self.path.open(encoding="utf-8-sig", newline="\n") as stream:
                next(stream)
                for number, line in enumerate(stream, 2):
                    if line.strip():
                        yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ManifestError(f"{self.path} is not UTF-8 ({error}); save it as UTF-8") from error

    def header(self) -> list[str]:
        """Names of the columns. Raises ManifestError where one is missing."""
        refuse_special(self.path)
        try:
            with self.path.open(encoding="utf-8-sig", newline="\n") as stream:
                columns = stream.readline().rstrip("\r\n").split("\t")
        except OSError as error:
            raise ManifestError(f"cannot read the manifest {self.path}: {error.strerror}; check its name") from error
        except UnicodeDecodeError as error:
            raise ManifestError(f"{self.path} is not UTF-8 ({error}); save it as UTF-8") from error
        if missing := [name for name in COLUMNS if name not in columns]:
            raise ManifestError(
                f"{self.path}, line 1: lacks {', '.join(missing)}; its first line names the columns, parted by tabs: "
                + " ".join(COLUMNS)
            )
        return columns

    def segment(self, line: str, columns: list[str]) -> Segment:
        """One line. Raises ValueError that says what is wrong with it."""
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise ValueError(f"has {len(cells)} columns, its header {len(columns)}")
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        if not _NAME.fullmatch(row["id"]):
            raise ValueError(f"its id {row['id']!r} cannot name a file")
        if not row["audio"]:
            raise ValueError("it names no audio")
        source = source_of(row["audio"], self.path.parent)
        if not source.samples and row["n_frames"]:
            if not row["n_frames"].isdecimal() or len(row["n_frames"]) > _MOST_DIGITS:
                raise ValueError(f"its n_frames {row['n_frames']!r} is no number of samples")
            source = source._replace(samples=int(row["n_frames"]))
        named = recording_of(row["id"])
        return Segment(
            segment_id=row["id"],
            source=source,
            # Several segments of one file are of one recording, whatever they are called.
            recording=source.path.stem if named == row["id"] and source.start_sample else named,
            speaker="" if row["speaker"].lower() in _UNKNOWN else row["speaker"],
            text=row["src_text"],
        )

    def texts(self) -> Iterator[str]:
        """What is said in each line that can be used."""
        columns = self.header()
        for _, line in self.lines():
            cells = line.split("\t")
            if len(cells) == len(columns):
                yield cells[columns.index("src_text")]
