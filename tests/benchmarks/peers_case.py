"""One peer on one stream, in the process that runs it alone: load, hear, read the peak memory, judge."""

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streaming.vad import WebRtcDetector
from tests.benchmarks.peers_buffer import BufferPolicy
from tests.benchmarks.peers_live import CHUNK_S, Listener, SphinxListener, TermCueListener, listen
from tests.benchmarks.peers_matching import PhraseMatcher, sightings_of
from tests.benchmarks.peers_prepare import Prepared, prepare_index, prepare_stream, read_phrases, read_terms
from tests.benchmarks.peers_rows import Heard, row_of
from tests.benchmarks.peers_whisper import decode_live, decode_utterances, open_whisper, within


@dataclass(frozen=True, slots=True)
class Case:
    """What a child is asked for; `sizes` are the entries of the glossaries that lie beside the stream.

    Only text and numbers, so that it goes through a command line: `peer` is a key of `RUNS`, `folder` what all peers
    of the run share, `exponents` rise, `limit_s` bounds the computing.
    """

    peer: str
    stream: str
    data: str
    folder: str
    sizes: tuple[int, ...]
    minutes: float | None
    model: str | None
    whisper: str | None
    false_per_hour: float
    exponents: tuple[int, ...]
    limit_s: float

    @property
    def work(self) -> Path:
        """The folder that all peers of the run share."""
        return Path(self.folder)

    @property
    def path(self) -> Path:
        """The stream's JSON: a path, or a name below `streams`."""
        given = Path(self.stream)
        return given if given.is_file() else Path(self.data) / "streams" / given.name

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.path.stem

    def glossary(self, size: int) -> Path:
        """The glossary of that size."""
        return self.path.with_name(f"{self.name}.g{size}.csv")

    def phrases(self, size: int) -> Path:
        """Where its spoken forms are written."""
        return self.work / f"{self.name}.g{size}.phrases.json"

    @property
    def model_folder(self) -> Path | None:
        """The model of TermCue; None: the bundled one."""
        return None if self.model is None else Path(self.model)

    @property
    def cache(self) -> Path:
        """Where the indexes lie."""
        return self.work / "cache"


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def prepare(case: Case) -> Iterator[dict[str, Any]]:
    """Write the shared files; nothing is told."""
    prepare_stream(case.path, Path(case.data), case.work, None if case.minutes is None else case.minutes * 60)
    for size in case.sizes:
        prepare_index(case.glossary(size), case.model_folder, case.cache, case.phrases(size))
    yield from ()


def run_termcue(case: Case) -> Iterator[dict[str, Any]]:
    """The pipeline, and U on the same core just before and just after."""
    from tests.benchmarks.streaming import encoder_unit

    stream = Prepared.load(case.work, case.name)
    for size in case.sizes:
        started = time.process_time()
        listener = TermCueListener(case.model_folder, case.glossary(size), case.cache, case.false_per_hour)
        load = time.process_time() - started
        before = encoder_unit(listener.model)
        heard = _hear(listener, stream, load, case.limit_s)
        unit = (before + encoder_unit(listener.model)) / 2
        yield row_of(case.peer, stream.name, listener.entries, stream.reference, replace(heard, unit_ms=unit))


def run_sphinx(case: Case) -> Iterator[dict[str, Any]]:
    """Ever stricter thresholds, until no more false hints leave than asked for: the first such, or the last, counts.

    That choice is made on the stream itself, afterwards and in this peer's favour: it has no way to make it before.
    """
    stream = Prepared.load(case.work, case.name)
    for size in case.sizes:
        phrases, terms = read_phrases(case.phrases(size)), read_terms(case.glossary(size))
        row: dict[str, Any] = {}
        for exponent in case.exponents:
            started = time.process_time()
            listener = SphinxListener(phrases, case.work, exponent)
            heard = _hear(listener, stream, time.process_time() - started, case.limit_s)
            notes = [f"threshold 1e{exponent}, chosen on this very stream"]
            notes += [f"{listener.left_out} forms without a pronunciation are left out"] * (listener.left_out > 0)
            heard = replace(heard, note="; ".join([*notes, *filter(None, [heard.note])]))
            row = row_of(case.peer, stream.name, len(terms), stream.reference, heard)
            if row["false_per_hour"] <= case.false_per_hour:
                break
        else:
            row["note"] += "; none gave so few false hints"
        yield row


def run_whisper(case: Case) -> Iterator[dict[str, Any]]:
    """Decoded once; each row counts that decode and the search for its own phrases."""
    stream = Prepared.load(case.work, case.name)
    started = time.process_time()
    recognise = open_whisper(Path(case.whisper or ""))
    load = time.process_time() - started
    if case.peer == "whisper-live":
        decodes = decode_live(recognise, WebRtcDetector().is_speech, stream, BufferPolicy())
    else:
        decodes = decode_utterances(recognise, stream)
    made = tuple(within(decodes, case.limit_s))
    decoding, peak = sum(decode.cpu_s for decode in made), peak_mb()
    duration = stream.reference.duration_s
    # The stream may go on for a moment after its last utterance.
    heard_s = duration if made[-1].at > duration - 1 else made[-1].at
    for size in case.sizes:
        terms = read_terms(case.glossary(size))
        started = time.process_time()
        sightings = tuple(sightings_of(made, PhraseMatcher(terms)))
        cpu_s = decoding + time.process_time() - started
        note = given_up(heard_s, duration, cpu_s)
        heard = Heard(sightings, heard_s, cpu_s, load, peak, note=note)
        yield row_of(case.peer, stream.name, len(terms), stream.reference, heard)


RUNS: dict[str, Callable[[Case], Iterator[dict[str, Any]]]] = {
    "prepare": prepare,
    "termcue": run_termcue,
    "whisper-bounds": run_whisper,
    "whisper-live": run_whisper,
    "pocketsphinx": run_sphinx,
}


def _hear(listener: Listener, stream: Prepared, load_s: float, limit_s: float) -> Heard:
    sightings, heard_s, cpu_s = listen(listener, stream.chunks(CHUNK_S), limit_s)
    return Heard(
        tuple(sightings), heard_s, cpu_s, load_s, peak_mb(), note=given_up(heard_s, stream.reference.duration_s, cpu_s)
    )


def given_up(heard_s: float, duration_s: float, cpu_s: float) -> str:
    """What to say of a case that was stopped at the limit; empty for one that was not."""
    if heard_s > duration_s - 1:
        return ""
    return f"given up after {cpu_s:.0f} s of computing: judged on {heard_s / 60:.1f} of {duration_s / 60:.1f} min"
