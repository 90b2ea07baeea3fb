"""Which audio of a corpus cannot be trained on, and why."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from streaming.events import SAMPLE_RATE
from training.corpus.audio import late_term, read_header
from training.corpus.examples import Example, TermSpan
from training.corpus.lines import BadRow, row_files
from training.corpus.manifest import ManifestError
from training.corpus.rows import read_examples
from training.corpus.schemas import Source
from training.corpus.segments import SegmentTable

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64"})
_LEAST_S, _MOST_S = 0.01, 30.0
_SILENT = 10 ** (-60 / 20)


@dataclass(frozen=True, slots=True)
class BadAudio:
    """A file (or a stretch of one, or a row that names none) and what is wrong with it."""

    name: str
    reason: str


def reason_against(source: Source, terms: Sequence[TermSpan] = ()) -> str | None:
    """Why a stretch cannot be used, or None.

    It must be there, be readable to its end, have 16 kHz and one channel, last 0.01 to 30 s and as long as the terms
    in it, be finite, and reach -60 dB of full scale somewhere.
    """
    try:
        header = read_header(source.path, whole=not source.samples)
    except ValueError as error:
        return str(error)
    if header.rate != SAMPLE_RATE:
        return f"has {header.rate} Hz, not {SAMPLE_RATE}"
    if header.channels != 1:
        return f"has {header.channels} channels, not one"
    left = header.frames - source.start_sample
    samples = source.samples or left
    if samples > left:
        return f"has {header.frames} samples, too few for {source.samples} from {source.start_sample} on"
    if not _LEAST_S * SAMPLE_RATE <= samples <= _MOST_S * SAMPLE_RATE:
        return f"lasts {samples / SAMPLE_RATE:.3f} s, not {_LEAST_S} to {_MOST_S:.0f} s"
    return late_term(terms, samples) or _reason_in_samples(source, samples)


def _reason_in_samples(source: Source, samples: int) -> str | None:
    try:
        audio, _ = soundfile.read(str(source.path), samples, source.start_sample, dtype="float32")
    except (OSError, soundfile.SoundFileError) as error:
        return f"cannot be read to its end ({error})"
    if len(audio) < samples:
        return f"breaks off after {len(audio)} of {samples} samples"
    if not np.isfinite(audio).all():
        return "holds NaN or infinite samples"
    return "is silent" if np.abs(audio).max() < _SILENT else None


def audio_in(paths: Iterable[Path]) -> Iterator[Source | Example | BadAudio]:
    """The audio named by paths: sound files, folders of them at any depth, and files of rows or segments.

    A row that cannot be read stands for itself as bad. Raises ManifestError for a path that is not there, or a folder
    without audio and rows.
    """
    for path in paths:
        if path.is_dir():
            found = False
            for file in sorted(path.rglob("*")):
                if file.suffix.lower() in SUFFIXES:
                    found = True
                    yield Source(file, 0, 0)
            if not found:
                yield from _rows(path)
        elif path.suffix.lower() in SUFFIXES:
            yield Source(path, 0, 0)
        elif path.suffix.lower() == ".tsv":
            yield from _segments(SegmentTable(path))
        else:
            yield from _rows(path)


def _rows(path: Path) -> Iterator[Example | BadAudio]:
    bad: list[BadRow] = []
    for file in row_files([path]):
        for example in read_examples([file], on_bad=bad.append):
            yield from _told(bad)
            yield example
        yield from _told(bad)


def _segments(table: SegmentTable) -> Iterator[Source | BadAudio]:
    columns = table.header()
    for number, line in table.lines():
        try:
            yield table.segment(line, columns).source
        except ValueError as error:
            yield BadAudio(f"{table.path}, line {number}", str(error))


def _told(bad: list[BadRow]) -> Iterator[BadAudio]:
    while bad:
        row = bad.pop(0)
        yield BadAudio(f"{row.file}, row {row.number}", row.reason)


def check_all(paths: Iterable[Path], workers: int = 4) -> Iterator[BadAudio | None]:
    """What is wrong with each file, stretch or row, in order; None where it can be used.

    Args:
        paths: as `audio_in` takes them.
        workers: threads that read ahead, as libsndfile runs beside Python.

    Raises:
        ManifestError: as `audio_in`, or where the paths hold no audio at all.
    """
    sources, running = audio_in(paths), list[Future[BadAudio | None]]()
    with ThreadPoolExecutor(workers) as pool:
        try:
            count = 0
            while True:
                for source in islice(sources, 8 * workers - len(running)):
                    running.append(pool.submit(_check, source))
                if not running:
                    break
                count += 1
                yield running.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)
    if not count:
        raise ManifestError("no audio is named there; give sound files, folders of them, or files of rows")


def _check(found: Source | Example | BadAudio) -> BadAudio | None:
    if isinstance(found, BadAudio):
        return found
    if isinstance(found, Example):
        source, terms = Source(found.audio, found.start_sample, found.samples), found.terms
    else:
        source, terms = found, ()
    reason = reason_against(source, terms)
    if reason is None:
        return None
    whole = not source.start_sample and not source.samples
    name = str(source.path) if whole else f"{source.path}:{source.start_sample}:{source.samples}"
    return BadAudio(name, reason)
