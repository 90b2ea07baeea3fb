"""One part of an alignment: some lines of the manifest -> one file of rows, written when all their audio is."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from training.corpus.cutting import CutConfig, Quotas, SegmentCutter, SegmentError
from training.corpus.glossary import read_training_glossary
from training.corpus.lines import json_bytes, whole_file
from training.corpus.matching import TermMatcher
from training.corpus.schemas import row_of
from training.corpus.segments import SegmentTable
from training.corpus.textgrid import TextGridError


def stamp(path: Path | None) -> list[Any] | None:
    """What tells a file from a later version of it."""
    return None if path is None else [str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns]


@dataclass(frozen=True, slots=True)
class AlignJob:
    """What is aligned, and where the rows go.

    Attributes:
        manifest: TSV of segments.
        textgrids: folder of alignments.
        glossary: terms.
        aliases: alt2main.json.
        mined: another glossary of terms, such as mining wrote.
        out: folder of term_level_chunks.json, contexts.jsonl if asked for, audio/, and align/ for what is no row.
        cut: how segments are cut.
        max_bad_share: the run fails where more of the lines than this cannot be used.
    """

    manifest: Path
    textgrids: Path
    glossary: Path
    out: Path
    aliases: Path | None = None
    mined: Path | None = None
    cut: CutConfig = field(default_factory=CutConfig)
    max_bad_share: float = 0.05

    def settings(self) -> dict[str, Any]:
        """All but the lines of the manifest: what must be the same for a run to go on where another one stopped."""
        return {
            "textgrids": str(self.textgrids.absolute()),
            "glossary": stamp(self.glossary),
            "aliases": stamp(self.aliases),
            "mined": stamp(self.mined),
            "cut": asdict(self.cut),
        }


@dataclass(frozen=True, slots=True)
class AlignCounts:
    """What became of the lines of a manifest.

    Attributes:
        lines: read; each one is aligned or rejected.
        rejected: cannot be used.
        without_term: aligned, and no term is said in them.
        chunks: one for each occurrence of a term.
        no_term_chunks: in which no term is said.
        contexts: with at least one term.
        no_term_contexts: in which no term is said.
        no_context: occurrences of terms that are in no context.
    """

    lines: int = 0
    rejected: int = 0
    without_term: int = 0
    chunks: int = 0
    no_term_chunks: int = 0
    contexts: int = 0
    no_term_contexts: int = 0
    no_context: int = 0

    def __add__(self, other: "AlignCounts") -> "AlignCounts":
        return AlignCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Part:
    """(number, line) of some lines of the manifest; `folder` is where its file stands."""

    folder: Path
    number: int
    lines: tuple[tuple[int, str], ...]

    @property
    def file(self) -> Path:
        """Its name holds what the lines are: a part of other lines is another part."""
        digest = hashlib.blake2b(repr(self.lines).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return self.folder / f"part-{self.number:06d}-{digest}.jsonl"


class PartMaker:
    """Makes parts of one job."""

    def __init__(self, job: AlignJob) -> None:
        self._job = job
        self._table = SegmentTable(job.manifest)
        self._columns = self._table.header()
        self._cutter = SegmentCutter(job.textgrids, TermMatcher(_forms(job)), job.out, job.cut)

    def make(self, part: Part) -> None:
        """Cut the segments of a part and write its file, counts first."""
        quotas, rows, counts = Quotas(), list[tuple[str, Any]](), AlignCounts()
        for number, line in part.lines:
            try:
                made = self._cutter.cut(self._table.segment(line, self._columns), quotas)
            except (ValueError, SegmentError, TextGridError) as error:
                rows.append(("rejected", {"file": str(self._table.path), "line": number, "reason": str(error)}))
                counts += AlignCounts(lines=1, rejected=1)
                continue
            free = sum("is_no_term_chunk" in row for row in made.chunks)
            free_contexts = sum(context.is_no_term for context in made.contexts)
            counts += AlignCounts(
                lines=1,
                without_term=int(len(made.chunks) == free),
                chunks=len(made.chunks) - free,
                no_term_chunks=free,
                contexts=len(made.contexts) - free_contexts,
                no_term_contexts=free_contexts,
                no_context=made.lost,
            )
            rows += [("chunk", row) for row in made.chunks]
            rows += [("context", row_of(context, self._job.out)) for context in made.contexts]
        with whole_file(part.file) as stream:
            stream.write(json_bytes(asdict(counts)) + b"\n")
            stream.writelines(kind.encode() + b"\t" + json_bytes(row) + b"\n" for kind, row in rows)


def _forms(job: AlignJob) -> Iterator[tuple[str, str]]:
    yield from read_training_glossary(job.glossary, job.aliases).forms()
    if job.mined is not None:
        yield from read_training_glossary(job.mined).forms()


def read_counts(part: Path) -> AlignCounts:
    """The first line of a part's file."""
    with part.open("rb") as stream:
        return AlignCounts(**json.loads(stream.readline()))


def read_rows(part: Path) -> Iterator[tuple[str, bytes]]:
    """(chunk, context or rejected; its JSON) of the lines that follow."""
    with part.open("rb") as stream:
        next(stream)
        for line in stream:
            kind, _, row = line.rstrip(b"\n").partition(b"\t")
            yield kind.decode(), row
