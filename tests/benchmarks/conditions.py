"""Recall of long streams in noise, among other voices, in a room and over a telephone, beside that of clean speech.

    python tests/benchmarks/conditions.py --data DIR [--streams plague readers telephony learners13 learners]
        [--conditions telephone noise room babble] [--glossary g300] [--model FOLDER] [--data-dir DIR] [--json]

DIR holds ``streams/NAME.json``, the audio that they name, and the glossaries ``streams/NAME.g300.csv``. Each figure is
made with a calibration of the other voices' clean speech, as a new voice meets it: recall at 12, 60 and 300 false hints
an hour, and how many came where so many were asked for; so at least two streams are needed. All has a level of -24 dBFS;
noise and babble (four stretches of the other streams at once) are 12 dB below the speech, the noise pink; the room dies away in 0.1 to 0.7 s; the telephone is 300 to 3,400 Hz in mu-law.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from app.glossaries import open_glossary
from app.loaded_model import load_folder
from app.places import Places
from streaming.audio import float_to_pcm16
from streaming.events import SAMPLE_RATE
from training.evaluation.calibrate import recall_at
from training.evaluation.collect import LongStream, collect
from training.evaluation.fit_streams import ALLOWED, StreamFit, judge_changed
from training.evaluation.stream_evidence import StreamEvidence
from training.evaluation.streams import open_stream
from training.speech import augmentation
from training.speech.augmentation import Audio

STREAMS = ("plague", "readers", "telephony", "learners13", "learners")
CONDITIONS = ("telephone", "noise", "room", "babble")
LEVEL_DB, SNR_DB, VOICES = -24.0, 12.0, 4
TELEPHONE_SAMPLES = 30 * SAMPLE_RATE


def samples_of(stream: LongStream) -> Audio:
    """float32[n] of a stream."""
    return np.frombuffer(stream.pcm, "<i2").astype(np.float32) / np.float32(32768)


def babble(others: Sequence[LongStream], length: int) -> Audio:
    """Some voices at once, each as loud, begun elsewhere in the recording."""
    mixed: NDArray[np.float32] = np.zeros(length, np.float32)
    for number in range(VOICES):
        voice = samples_of(others[number % len(others)])
        voice = np.roll(voice, (number + 1) * len(voice) // (VOICES + 1))
        mixed += np.resize(voice / (voice.std() + 1e-9), length)
    return mixed


def changed(stream: LongStream, condition: str, others: Sequence[LongStream]) -> LongStream:
    """The stream as it sounds then; always the same."""
    audio, rng = samples_of(stream), np.random.default_rng(11)
    if condition == "room":
        audio = augmentation.reverberate(audio, rng)
    elif condition == "babble":
        audio = augmentation.add_at_snr(audio, babble(others, len(audio)), SNR_DB)
    elif condition == "noise":
        audio = augmentation.add_at_snr(audio, augmentation.coloured_noise(len(audio), 1.0, rng), SNR_DB)
    elif condition == "telephone":
        # In parts, since its loudest sample scales what eight bits hold.
        parts = range(0, len(audio), TELEPHONE_SAMPLES)
        audio = np.concatenate([augmentation.telephone(audio[first : first + TELEPHONE_SAMPLES]) for first in parts])
    return dataclasses.replace(stream, pcm=float_to_pcm16(augmentation.set_level(audio, LEVEL_DB)))


def show(condition: str, fits: Sequence[StreamFit], as_json: bool) -> None:
    """A line for each stream and one of their means."""
    if as_json:
        for fit in fits:
            print(json.dumps({"condition": condition, **fit.to_json()}), flush=True)
        return
    recalls = [[recall_at(fit.sweep, allowed).recall for allowed in ALLOWED] for fit in fits]
    for fit, recall in zip(fits, recalls, strict=True):
        got = "".join(f"{fit.dial[asked].false_per_hour:>8.0f}" for asked in ALLOWED)
        print(f"{condition:<11}{fit.stream:<12}{''.join(f'{share:>8.3f}' for share in recall)}{got}", flush=True)
    means = "".join(f"{share:>8.3f}" for share in np.mean(recalls, axis=0))
    print(f"{condition:<11}{'mean':<12}{means}", flush=True)


def main() -> None:
    """Parse, hear, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--streams", nargs="+", default=list(STREAMS), metavar="NAME")
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--glossary", default="g300")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.streams) < 2:
        parser.error("--streams: at least two, since each is judged with what others taught")
    folder = load_folder(arguments.model)
    paths = {name: arguments.data / "streams" / f"{name}.json" for name in arguments.streams}
    streams: Mapping[str, LongStream] = {name: open_stream(path, arguments.data) for name, path in paths.items()}
    with tempfile.TemporaryDirectory() as temporary:
        at = arguments.data_dir or Path(temporary)
        places = Places(data=at / "data", cache=at / "cache")

        def heard(condition: str) -> list[StreamEvidence]:
            evidence: list[StreamEvidence] = []
            for name, stream in streams.items():
                glossary = str(paths[name].with_name(f"{name}.{arguments.glossary}.csv"))
                index = open_glossary(glossary, folder, places).index
                others = [other for each, other in streams.items() if each != name]
                evidence += collect(changed(stream, condition, others), folder, {arguments.glossary: index})
            return evidence

        if not arguments.json:
            recalls, asked = ("".join(f"{f'{word}{n}':>8}" for n in ALLOWED) for word in ("r@", "for "))
            print(f"{'condition':<11}{'stream':<12}{recalls}{asked}")
        clean = heard("clean")
        show("clean", judge_changed(clean, clean), arguments.json)
        for condition in arguments.conditions:
            show(condition, judge_changed(clean, heard(condition)), arguments.json)


if __name__ == "__main__":
    main()
