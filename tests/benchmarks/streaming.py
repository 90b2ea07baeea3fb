"""Recall, false hints, latency and cost of the whole pipeline on long streams with a reference, as one table.

    python tests/benchmarks/streaming.py --data DIR [--streams plague telephony] [--glossaries g300 g1000] [--json]

DIR holds the audio named by ``streams/NAME.json`` and the glossaries ``streams/NAME.gN.csv``. Each stream is fed as
fast as it goes, in one process, ONNX Runtime on one thread. The sweep decides again over the same scored candidates
at every threshold; "dial" is what the shipped booth setting gives. Latency is on the audio clock, at 60 false hints
an hour. Stage shares are of the time spent; U is what the encoder needs for one hop
on the same core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run as a file, this folder comes first on the path, and this module would stand for the package of its name.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model
from app.places import Places
from app.wiring import Sensitivity, decision_of, make_scorer
from streaming.audio import AudioFormat
from streaming.decision import Candidate
from streaming.encoding.encoded_context import EncodedContext
from streaming.events import SAMPLE_RATE, Hint
from streaming.pipeline import STAGES, Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.scoring import TermScorer
from streaming.spotting.evidence import Sightings
from streaming.term_index import TermIndex
from streaming.vad import WebRtcDetector
from training.evaluation.calibrate import decide_candidates
from training.evaluation.collect import LongStream, read_stream
from training.evaluation.stream_evidence import Hop, StreamEvidence
from training.evaluation.stream_metrics import StreamScore, TimedHint, score_stream

FALSE_PER_HOUR = (12.0, 60.0, 300.0)
_CHUNK_BYTES = 64_000
_HOP_SAMPLES = 5_120


class WatchedScorer:
    """The real scorer; keeps what it said of each hop."""

    def __init__(self, scorer: TermScorer) -> None:
        self._scorer = scorer
        self.hops: list[tuple[Hop, Sequence[Candidate]]] = []

    def reset(self) -> None:
        """A new stream."""
        self._scorer.reset()
        self.hops.clear()

    @property
    def nbytes(self) -> int:
        """Nothing."""
        return 0

    @property
    def looks_again(self) -> bool:
        """As the real one."""
        return self._scorer.looks_again

    @property
    def sightings(self) -> Sightings:
        """Nothing: the index is never replaced here."""
        return {}

    def go_on_from(self, sightings: Sightings) -> None:
        """Never asked to: the index is never replaced here."""

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """Score and remember."""
        found = self._scorer.score(encoded, context_start_sample, hop_end_sample, first_hop_frame)
        start = context_start_sample + first_hop_frame * 320
        self.hops.append((Hop(start, hop_end_sample, context_start_sample, ()), found))
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    stream: str
    glossary: str
    entries: int
    hours: float
    swept: tuple[StreamScore, ...]
    dial: StreamScore
    seconds: float
    shares: dict[str, float]

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing per second of audio."""
        return self.seconds / (self.hours * 3600)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "stream": self.stream,
            "glossary": self.glossary,
            "entries": self.entries,
            **{f"recall@{int(n)}": round(s.recall, 4) for n, s in zip(FALSE_PER_HOUR, self.swept, strict=True)},
            "dial_recall": round(self.dial.recall, 4),
            "dial_precision": round(self.dial.precision, 4),
            "dial_false_per_hour": round(self.dial.false_per_hour, 1),
            "latency_p50": round(self.swept[1].latency(0.5), 3),
            "latency_p95": round(self.swept[1].latency(0.95), 3),
            "rtf": round(self.real_time_factor, 4),
            "shares": {name: round(share, 3) for name, share in self.shares.items()},
        }


def measure(model: Model, index: TermIndex, stream: LongStream, size: str) -> Row:
    """Feed one stream and judge it at every threshold."""
    decision = decision_of(model.folder, Sensitivity("booth"), len(index.entries))
    scorer = WatchedScorer(make_scorer(model, index))
    config = PipelineConfig(
        decision=decision,
        format=AudioFormat(),
        hop_ms=model.hop_ms,
        context_ms=model.folder.spec.context_samples * 1000 // SAMPLE_RATE,
    )
    pipeline = Pipeline(model.frames, index, scorer, WebRtcDetector(), config, clock=time.process_time)
    events = []
    started = time.process_time()
    for first in range(0, len(stream.pcm), _CHUNK_BYTES):
        events += pipeline.feed(stream.pcm[first : first + _CHUNK_BYTES])
    events += pipeline.finish()
    seconds = time.process_time() - started
    hints = [
        TimedHint(e.term, e.start_sample / SAMPLE_RATE, e.end_sample / SAMPLE_RATE, e.emitted_sample / SAMPLE_RATE)
        for e in events
        if isinstance(e, Hint)
    ]
    hops = tuple(hop for hop, _ in scorer.hops)
    evidence = StreamEvidence(stream.name, len(index.entries), stream.reference, index.entries, index.forms, hops)
    candidates = [found for _, found in scorer.hops]
    thresholds = np.unique(np.round([c.probability for found in candidates for c in found], 3))
    swept = [decide_candidates(evidence, candidates, float(t)) for t in _thin(thresholds)]
    best = tuple(
        max((s for s in swept if s.false_per_hour <= n), key=lambda s: s.recall, default=swept[-1])
        for n in FALSE_PER_HOUR
    )
    stage = pipeline.stage_seconds
    return Row(
        stream.name,
        size,
        len(index.entries),
        stream.reference.duration_s / 3600,
        best,
        score_stream(stream.reference, hints),
        seconds,
        {name: stage[name] / seconds for name in STAGES},
    )


def _thin(thresholds: NDArray[np.float64], most: int = 240) -> NDArray[np.float64]:
    """At most so many thresholds, evenly by rank, the ends kept."""
    picks = np.unique(np.linspace(0, len(thresholds) - 1, most).round().astype(int))
    return np.asarray(thresholds[picks], np.float64)


def encoder_unit(model: Model) -> float:
    """Milliseconds of the encoder for one hop: the median of 30."""
    context = (np.random.default_rng(0).standard_normal(model.folder.spec.context_samples) * 0.05).astype(np.float32)
    stream, times = model.frames.open(), []
    for hop in range(1, 31):
        started = time.process_time()
        stream.encode(context, hop * _HOP_SAMPLES)
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1000


def start_time(glossary: Path, cache: Path) -> float:
    """Seconds from starting ``termcue listen`` to its Begin message, with the index in the cache."""
    command = [sys.executable, "-m", "app.cli", "listen", "-", "--glossary", str(glossary), "--json"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    times = []
    for _ in range(3):
        started = time.monotonic()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            times.append(time.monotonic() - started)
            process.communicate(b"\0\0" * SAMPLE_RATE)
    return sorted(times)[1]


def print_table(rows: Sequence[Row]) -> None:
    """The figures as fixed-width text."""
    print(
        f"{'stream':<11}{'glossary':<9}{'r@12':>6}{'r@60':>6}{'r@300':>6}"
        f"{'dial r':>8}{'prec':>6}{'f/h':>6}{'p50 s':>7}{'p95 s':>7}{'RTF':>7}  "
        + " ".join(f"{name:>6}" for name in STAGES)
    )
    for row in rows:
        recalls = "".join(f"{s.recall:>6.3f}" for s in row.swept)
        shares = " ".join(f"{row.shares[name]:>6.1%}" for name in STAGES)
        print(
            f"{row.stream:<11}{row.glossary:<9}{recalls}{row.dial.recall:>8.3f}{row.dial.precision:>6.2f}"
            f"{row.dial.false_per_hour:>6.1f}{row.swept[1].latency(0.5):>7.2f}{row.swept[1].latency(0.95):>7.2f}"
            f"{row.real_time_factor:>7.3f}  {shares}",
            flush=True,
        )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--streams", nargs="+", default=["plague", "telephony", "readers", "learners", "learners13"])
    parser.add_argument("--glossaries", nargs="+", default=["g300"])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--hop-ms", type=int, choices=(640, 320), default=640)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = load_folder(arguments.model)
    model = load_model(folder, hop_ms=arguments.hop_ms)
    with tempfile.TemporaryDirectory() as cache:
        places = Places(data=Path(cache) / "data", cache=Path(cache) / "termcue")
        rows, first_build = [], 0.0
        for name in arguments.streams:
            stream = read_stream(arguments.data / "streams" / f"{name}.json", arguments.data)
            for size in arguments.glossaries:
                path = arguments.data / "streams" / f"{name}.{size}.csv"
                started = time.monotonic()
                opened = open_glossary(str(path), folder, places)
                first_build = first_build or time.monotonic() - started
                rows.append(measure(model, opened.index, stream, size))
                if arguments.json:
                    print(json.dumps(rows[-1].as_dict()), flush=True)
        if not arguments.json:
            print_table(rows)
            path = arguments.data / "streams" / f"{arguments.streams[0]}.{arguments.glossaries[0]}.csv"
            print(f"U = {encoder_unit(model):.1f} ms (the encoder, one hop of {_HOP_SAMPLES / SAMPLE_RATE} s)")
            print(f"index of {path.name} built in {first_build:.1f} s, then cached")
            print(f"start to first audio accepted: {start_time(path, Path(cache)):.2f} s")


if __name__ == "__main__":
    main()
