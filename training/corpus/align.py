"""A corpus with forced alignments -> training rows, part by part; a stopped run goes on after its last part."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from streaming.durable import replace_file
from streaming.errors import SettingError
from training.corpus.lines import json_bytes, whole_file
from training.corpus.manifest import ManifestError
from training.corpus.parts import AlignCounts, AlignJob, Part, PartMaker, read_counts, read_rows, stamp
from training.corpus.segments import SegmentTable

PART_LINES = 200
Progress = Callable[[int, int], None]
CHUNKS, CONTEXTS = "term_level_chunks.json", "contexts.jsonl"
# A folder of its own for all that is no row: the folder above is read as one of shards.
BOOKKEEPING = "align"
REJECTED, STATE, PARTS = (f"{BOOKKEEPING}/{name}" for name in ("rejected.jsonl", "state.json", "parts"))


def align(job: AlignJob, *, workers: int = 1, progress: Progress = lambda done, total: None) -> AlignCounts:
    """Make all rows of a corpus; parts that are there already are not made again.

    Args:
        job: what and where to.
        workers: processes.
        progress: called with (lines done, all lines).

    Raises:
        SettingError: the folder holds the rows of another job.
        ManifestError: a manifest or a folder that cannot be used, or too many lines that cannot; the parts that hold
            such lines are made again by the next run.
    """
    for path in filter(None, (job.manifest, job.textgrids, job.glossary, job.aliases)):
        if not path.exists():
            raise ManifestError(f"{path} is not there; check its name")
    if (finished := _begin(job)) is not None:
        return finished
    total = sum(1 for _ in SegmentTable(job.manifest).lines())
    if not total:
        raise ManifestError(f"{job.manifest} holds no line but its header; name a manifest with segments")
    counts, files = AlignCounts(), list[Path]()
    for file, made in _made(job, workers):
        counts += made
        files.append(file)
        progress(counts.lines, total)
        if counts.rejected > job.max_bad_share * total:
            _give_up(job, counts, files)
    _publish(job, files, counts)
    return counts


def _begin(job: AlignJob) -> AlignCounts | None:
    """The counts of a finished run of the same job; otherwise the folder is made ready."""
    state_file, folder = job.out / STATE, job.out / PARTS
    ours = json.loads(json.dumps(job.settings()))
    if state_file.exists():
        state = json.loads(state_file.read_text("utf-8"))
        theirs = state.get("settings", {})
        if theirs != ours and ("counts" in state or any(folder.glob("part-*"))):
            other = next(key for key in ours if theirs.get(key) != ours[key])
            raise SettingError(
                f"{job.out} holds rows of other settings ({other}: {theirs.get(other)!r}); choose another --out or "
                "remove that folder"
            )
        if "counts" in state and state["manifest"] == stamp(job.manifest):
            return AlignCounts(**state["counts"])
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(state_file, json_bytes({"settings": ours}))
    return None


def _planned(job: AlignJob) -> Iterator[Part]:
    lines = SegmentTable(job.manifest).lines()
    number = 0
    while chosen := tuple(islice(lines, PART_LINES)):
        yield Part(job.out / PARTS, number, chosen)
        number += 1


def _made(job: AlignJob, workers: int) -> Iterator[tuple[Path, AlignCounts]]:
    """The files of the parts in order, with their counts."""
    if workers > 1:
        yield from _made_by_many(job, workers)
        return
    maker: PartMaker | None = None
    for part in _planned(job):
        if not part.file.exists():
            maker = maker or PartMaker(job)
            maker.make(part)
        yield part.file, read_counts(part.file)


def _made_by_many(job: AlignJob, workers: int) -> Iterator[tuple[Path, AlignCounts]]:
    parts, running = _planned(job), list[tuple[Path, Future[None] | None]]()
    # Spawned, not forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            while True:
                for part in islice(parts, 2 * workers - len(running)):
                    running.append((part.file, None if part.file.exists() else pool.submit(_make, job, part)))
                if not running:
                    return
                file, future = running.pop(0)
                if future is not None:
                    future.result()
                yield file, read_counts(file)
        finally:
            pool.shutdown(cancel_futures=True)


@lru_cache(1)
def _maker(job: AlignJob) -> PartMaker:
    """One for all parts that a process makes."""
    return PartMaker(job)


def _make(job: AlignJob, part: Part) -> None:
    _maker(job).make(part)


def _give_up(job: AlignJob, counts: AlignCounts, files: Sequence[Path]) -> None:
    spoilt = [file for file in files if read_counts(file).rejected]
    told = json.loads(next(row for kind, row in read_rows(spoilt[0]) if kind == "rejected"))
    for file in spoilt:
        file.unlink()
    raise ManifestError(
        f"{counts.rejected} lines cannot be used, more than {job.max_bad_share:.0%} of all; the first is "
        f"{told['file']}, line {told['line']}: {told['reason']}; mend them, or raise --max-bad-share, and run it again"
    )


def _publish(job: AlignJob, files: Sequence[Path], counts: AlignCounts) -> None:
    """Join the parts to the files that are read, then let them go."""
    names = {"chunk": CHUNKS, "rejected": REJECTED} | ({} if job.cut.contexts is None else {"context": CONTEXTS})
    with ExitStack() as stack:
        streams = {kind: stack.enter_context(whole_file(job.out / name)) for kind, name in names.items()}
        between = {"chunk": b"[\n"}
        for file in files:
            for kind, row in read_rows(file):
                streams[kind].write(between.get(kind, b"") + row + (b"" if kind == "chunk" else b"\n"))
                between |= {"chunk": b",\n"} if kind == "chunk" else {}
        streams["chunk"].write(b"\n]\n" if counts.chunks + counts.no_term_chunks else b"[]\n")
    state = {"settings": job.settings(), "manifest": stamp(job.manifest), "counts": asdict(counts)}
    replace_file(job.out / STATE, json_bytes(state))
    for file in (job.out / PARTS).glob("part-*"):
        file.unlink()
    (job.out / PARTS).rmdir()
