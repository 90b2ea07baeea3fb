"""AUC and equal error rate of term verification, LibriPhrase-style, on the words of long streams with a reference.

    python tests/benchmarks/verification.py --data DIR --stream plague.json [--stream …] [--pairs 300] [--seed 0]
        [--model FOLDER] [--lexicon g10000] [--json]

DIR holds the audio named by ``streams/NAME.json``; a stream may also be the path of its file. Of each stream so many
segments are drawn; each is a positive pair, an easy and a hard negative (`training.evaluation.verification_pairs` has
the rules). Words of the glossary ``NAME.g10000.csv`` beside the stream, where there is one, may replace words in hard
negatives. "both" is fitted on the other streams; of a single stream, each half of its time on the other half.
"""

import argparse
import csv
import dataclasses
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from app.loaded_model import Model, load_folder, load_model
from index_builder.embed import embed_texts
from index_builder.pronounce import SpokenForm, pronounce_forms
from streaming.encoder import OnnxTextEncoder
from streaming.entries import make_form
from streaming.grapheme import OnnxPronouncer
from streaming.symbols import words_of
from training.evaluation.streams import open_stream
from training.evaluation.verification import (
    HearingConfig,
    SpokenText,
    TrialScores,
    VerificationResult,
    score_trials,
    verification_results,
)
from training.evaluation.verification_pairs import Lexicon, PairConfig, Trial, draw_trials


def lexicon_of(words: Iterable[str], pronouncer: OnnxPronouncer) -> Lexicon:
    """Pronunciations of words as an index would have them."""
    distinct = sorted(set(words))
    ways = pronounce_forms([SpokenForm(word) for word in distinct], pronouncer)
    return {word: [way[0] for way in some] for word, some in zip(distinct, ways, strict=True)}


def glossary_words(path: Path) -> list[str]:
    """The words of a glossary's terms; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [word for row in csv.DictReader(file) for word in words_of(row["term"])]


def spoken_texts(trials: Iterable[Trial], model: Model, pronouncer: OnnxPronouncer) -> dict[str, SpokenText]:
    """Every text of the trials as an index would hold it."""
    texts = sorted({text for trial in trials for text in trial.texts})
    vectors = embed_texts(texts, OnnxTextEncoder(model.folder))
    ways = pronounce_forms([SpokenForm(text) for text in texts], pronouncer)
    return {
        text: SpokenText(make_form(0, text, way), vector)
        for text, way, vector in zip(texts, ways, vectors, strict=True)
    }


def measure(
    model: Model, pronouncer: OnnxPronouncer, path: Path, arguments: argparse.Namespace
) -> tuple[str, TrialScores, list[Trial]]:
    """Draw and score the trials of one stream."""
    stream = open_stream(path, arguments.data)
    words = stream.reference.words
    more = glossary_words(path.with_name(f"{path.stem}.{arguments.lexicon}.csv"))
    lexicon = lexicon_of([*(word for word, _, _ in words), *more], pronouncer)
    trials = draw_trials(words, lexicon, arguments.pairs, PairConfig(seed=arguments.seed))
    audio = np.frombuffer(stream.pcm, "<i2").astype(np.float32) / np.float32(32_768)
    hearing = HearingConfig(model.folder.spec.context_samples)
    texts = spoken_texts(trials, model, pronouncer)
    return stream.name, score_trials(audio, trials, texts, model.frames, model.spans, hearing), trials


def show(result: VerificationResult, as_json: bool) -> None:
    """One line of the table."""
    if as_json:
        print(json.dumps(dataclasses.asdict(result)), flush=True)
        return
    figures = f"{100 * result.auc:>8.2f}{100 * result.eer:>8.2f}{result.pairs:>7}"
    print(f"{result.stream:<11}{result.split:<6}{result.score:<10}{figures}", flush=True)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stream", action="append", required=True, dest="streams", metavar="NAME.json")
    parser.add_argument("--pairs", type=int, default=300, help="segments of each stream; each gives three pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--lexicon", default="g10000", help="glossary beside the stream whose words may replace others")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print so many trials on standard error")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = load_model(load_folder(arguments.model))
    pronouncer = OnnxPronouncer(model.folder)
    scores = {}
    for name in arguments.streams:
        path = Path(name) if Path(name).is_file() else arguments.data / "streams" / name
        stream, scored, trials = measure(model, pronouncer, path, arguments)
        scores[stream] = scored
        for trial in trials[: arguments.show]:
            print(" / ".join(trial.texts), file=sys.stderr)
    if not arguments.json:
        print(f"{'stream':<11}{'split':<6}{'score':<10}{'AUC %':>8}{'EER %':>8}{'pairs':>7}")
    for result in verification_results(scores):
        show(result, arguments.json)


if __name__ == "__main__":
    main()
