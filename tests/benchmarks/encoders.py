"""What a second of audio costs with two models and longer hops, stage by stage, side by side on one core.

    python tests/benchmarks/encoders.py --data DIR --other MODEL [--stream plague] [--glossaries g300 g1000]
        [--hops 640 320] [--json]

DIR is as in ``streaming.py``; MODEL is another model folder, for instance one whose encoder hears every context anew.
It is compared with the model that ships at each of the hops. All hear the same stretches of the stream by turns, so
that what else the machine does falls on all; the index of each glossary is built for each model first. Times are of the process's own core, in milliseconds a second of audio. U is
what one context of 3 s costs by itself in the other model. "kept" is what encoder and scorer remember of a stream.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model, warm_up
from app.places import Places
from app.wiring import Sensitivity, decision_of, make_pipeline
from streaming.audio import AudioFormat
from streaming.events import SAMPLE_RATE
from streaming.pipeline import STAGES, Pipeline
from training.evaluation.collect import read_stream

_TURN_S = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds a second of audio of each stage; `kept_mb` of one stream."""

    glossary: str
    model: str
    hop_ms: int
    stages: dict[str, float]
    kept_mb: float

    @property
    def whole(self) -> float:
        """All stages."""
        return sum(self.stages.values())


def costs(models: Sequence[Model], pipelines: Sequence[Pipeline], pcm: bytes, glossary: str) -> list[Cost]:
    """Feed all of them by turns; the first turn, in which everything is met for the first time, does not count."""
    turn = 2 * SAMPLE_RATE * _TURN_S
    begun: list[dict[str, float]] = []
    for first in range(0, len(pcm), turn):
        for pipeline in pipelines:
            pipeline.feed(pcm[first : first + turn])
        if not first:
            begun = [pipeline.stage_seconds for pipeline in pipelines]
    seconds = max(1, len(pcm) - turn) / (2 * SAMPLE_RATE)
    return [
        Cost(
            glossary,
            model.folder.encoder_id,
            model.hop_ms,
            {name: 1000 * (pipeline.stage_seconds[name] - before[name]) / seconds for name in STAGES},
            pipeline.nbytes / 1e6,
        )
        for model, pipeline, before in zip(models, pipelines, begun, strict=True)
    ]


def encoder_unit(model: Model) -> float:
    """Milliseconds of one context by itself: the median of 30."""
    context = (np.random.default_rng(0).standard_normal(model.folder.spec.context_samples) * 0.05).astype(np.float32)
    times = []
    for _ in range(30):
        started = time.process_time()
        model.frames.encode(context)
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1000


def print_table(rows: Sequence[Cost], unit: float) -> None:
    """The rows, and how many times each costs less than the first one of its glossary."""
    print(
        f"{'glossary':<10}{'model':<24}{'hop ms':>7}"
        + "".join(f"{name:>9}" for name in (*STAGES, "all", "in U", "kept MB"))
    )
    for row in rows:
        figures = [*row.stages.values(), row.whole, row.whole / unit, row.kept_mb]
        print(f"{row.glossary:<10}{row.model:<24}{row.hop_ms:>7}" + "".join(f"{figure:>9.2f}" for figure in figures))
    first = {row.glossary: row for row in reversed(rows)}
    for own in rows:
        other = first[own.glossary]
        if own is not other:
            ratios = f"encoder {other.stages['encode'] / own.stages['encode']:.2f}, all {other.whole / own.whole:.2f}"
            held = f"streams on a core: {1000 / own.whole:.0f}"
            print(f"{own.glossary}, hops of {own.hop_ms} ms: times cheaper: {ratios}; {held}")
    print(f"U = {unit:.1f} ms (one context by itself, the other model)")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True, metavar="MODEL")
    parser.add_argument("--model", type=Path, help="default: the one that ships")
    parser.add_argument("--stream", default="plague")
    parser.add_argument("--glossaries", nargs="+", default=["g300", "g1000", "g10000"])
    parser.add_argument("--other-hop", type=int, default=320, help="of the other model, ms (default: 320)")
    parser.add_argument("--hops", type=int, nargs="+", default=[640, 320], help="of the model, ms (default: 640 320)")
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    other, own = (replace(load_model(load_folder(m)), clock=time.process_time) for m in (given.other, given.model))
    models = [replace(other, hop_ms=given.other_hop), *(replace(own, hop_ms=hop_ms) for hop_ms in given.hops)]
    stream = read_stream(given.data / "streams" / f"{given.stream}.json", given.data)
    rows: list[Cost] = []
    with tempfile.TemporaryDirectory() as cache:
        places = Places(data=Path(cache) / "data", cache=Path(cache) / "termcue")
        for glossary in given.glossaries:
            pipelines = []
            for model in models:
                warm_up(model)
                path = given.data / "streams" / f"{given.stream}.{glossary}.csv"
                index = open_glossary(str(path), model.folder, places).index
                decision = decision_of(model.folder, Sensitivity("booth"), len(index.entries))
                pipelines.append(make_pipeline(model, index, decision, AudioFormat()))
            pcm = stream.pcm[: 2 * SAMPLE_RATE * given.seconds]
            rows += costs(models, pipelines, pcm, glossary)
            if given.json:
                print("\n".join(json.dumps(asdict(row)) for row in rows[-len(models) :]), flush=True)
    if not given.json:
        print_table(rows, encoder_unit(models[0]))


if __name__ == "__main__":
    main()
