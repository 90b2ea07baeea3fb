"""Recall@10, @50 and @100 of the span search before verification, on long streams with a reference.

    python tests/benchmarks/candidates.py --data DIR --stream plague.json [--stream …] [--glossaries g300 g1000 g10000]
        [--model FOLDER] [--data-dir DIR] [--minutes 3] [--json]

DIR holds the audio named by ``streams/NAME.json`` and the glossaries ``streams/NAME.gN.csv``; a stream may also be the
path of its file, with the glossaries beside it. All glossaries of a stream share one pass of the encoder. Indexes are
built into a temporary folder, or into the one of ``--data-dir``, where the next run finds them. What counts as found:
`training.evaluation.candidates`.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model
from app.places import Places
from streaming.events import SAMPLE_RATE
from streaming.spotting.form_search import FormSearch
from streaming.spotting.scoring_config import ScoringConfig
from streaming.vad import WebRtcDetector
from training.evaluation.candidates import (
    DEPTHS,
    CandidateRecall,
    ProposalRecorder,
    candidate_recall,
    record_proposals,
)
from training.evaluation.collect import LongStream
from training.evaluation.stream_metrics import Reference
from training.evaluation.streams import open_stream

BYTES_PER_SECOND = 2 * SAMPLE_RATE


def first_minutes(stream: LongStream, minutes: float) -> LongStream:
    """The beginning of a stream, with what of its reference ended by then."""
    end = min(60 * minutes, stream.reference.duration_s)
    reference = Reference(
        end,
        tuple(o for o in stream.reference.occurrences if o.end <= end),
        tuple(word for word in stream.reference.words if word[2] <= end),
    )
    return LongStream(stream.name, stream.pcm[: int(end) * BYTES_PER_SECOND], reference)


def measure(
    model: Model, path: Path, data: Path, glossaries: list[str], places: Places, minutes: float | None
) -> list[tuple[str, CandidateRecall]]:
    """One stream with all its glossaries."""
    stream = open_stream(path, data)
    if minutes is not None:
        stream = first_minutes(stream, minutes)
    indexes = {
        size: open_glossary(str(path.with_name(f"{path.stem}.{size}.csv")), model.folder, places).index
        for size in glossaries
    }
    searches = {size: FormSearch(index, model.spans, ScoringConfig()) for size, index in indexes.items()}
    context_ms = model.folder.spec.context_samples * 1000 // SAMPLE_RATE
    recorder = ProposalRecorder(searches, indexes)
    hops = record_proposals(stream, recorder, next(iter(indexes.values())), model.frames, WebRtcDetector(), context_ms)
    return [
        (size, candidate_recall(stream.name, stream.reference, index, hops[size])) for size, index in indexes.items()
    ]


def show(size: str, found: CandidateRecall, as_json: bool) -> None:
    """One line of the table."""
    if as_json:
        print(json.dumps({"glossary": size, "depths": DEPTHS, **dataclasses.asdict(found)}), flush=True)
        return
    recalls = "".join(f"{recall:>8.3f}" for recall in found.recall)
    print(
        f"{found.stream:<11}{size:<9}{found.entries:>8}{found.occurrences:>6}{recalls}{found.mean_proposed:>10.1f}",
        flush=True,
    )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stream", action="append", required=True, dest="streams", metavar="NAME.json")
    parser.add_argument("--glossaries", nargs="+", default=["g300", "g1000", "g10000"])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = load_model(load_folder(arguments.model))
    if not arguments.json:
        depths = "".join(f"{f'r@{depth}':>8}" for depth in DEPTHS)
        print(f"{'stream':<11}{'glossary':<9}{'entries':>8}{'n':>6}{depths}{'proposed':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data_dir or Path(temporary)
        places = Places(data=folder / "data", cache=folder / "cache")
        for name in arguments.streams:
            path = Path(name) if Path(name).is_file() else arguments.data / "streams" / name
            for size, found in measure(model, path, arguments.data, arguments.glossaries, places, arguments.minutes):
                show(size, found, arguments.json)


if __name__ == "__main__":
    main()
