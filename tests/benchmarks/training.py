"""Speed and memory of a training step of the compact preset, against each clip padded to 30 s in a forward of its own.

    python tests/benchmarks/training.py [--rows 8] [--steps 3] [--threads 1] [--json]

The model has the shape of Whisper base and random weights, so that nothing is downloaded. Both ways make the same step
from the same rows of 1.4 to 4 s: audio to features, forward, all losses, backward, AdamW. Each runs in a process of its
own, one after the other, in one run; the peak is that process's, libraries included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np
import soundfile
import torch

from streaming.features import LogMel
from training.corpus.audio import read_stretch
from training.corpus.examples import Example, TermSpan
from training.corpus.glossary import TrainingGlossary
from training.corpus.manifest import Word
from training.loop.batches import Batch, BatchConfig, BatchMaker
from training.loop.optimiser import adamw
from training.loop.presets import preset
from training.loop.pronunciations import Pronunciations
from training.losses.grad_cache import cached_step
from training.losses.total import Losses, total_loss
from training.models.adapters import choose_trained
from training.models.interfaces import RetrieverInputs, RetrieverOutputs
from training.models.retriever import DualEncoder
from training.models.text_towers import CharacterText
from training.models.whisper_tower import WhisperShape, random_whisper_tower

BASE = WhisperShape(width=512, layers=6, heads=8, inner=2048)
PADDED_FRAMES = 1_500
WAYS = ("padded", "true length", "cached")
TOLD = {
    "padded": "each clip padded to 30 s, one per forward",
    "true length": "one forward of all clips at true length",
    "cached": "the same in micro-batches of 2 (gradient caching)",
}


def make_rows(folder: Path, count: int) -> tuple[list[Example], list[int]]:
    """Rows of noise, 1.4 to 4 s, each with a term of two words; and their lengths in samples."""
    rng = np.random.default_rng(0)
    rows, lengths = [], []
    for i in range(count):
        samples = int(rng.uniform(1.4, 4.0) * 16_000)
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.standard_normal(samples) * 0.1, 16_000)
        words = (Word("kalman", 6_400, 12_800), Word("filter", 12_800, 19_200))
        term = f"kalman filter {'abcdefghijklmnopqrstuvwxyz'[i % 26]}"
        rows.append(Example(str(i), path, 0, samples, "kalman filter", (TermSpan(term, 6_400, 19_200),), words))
        lengths.append(samples)
    return rows, lengths


def compact() -> DualEncoder:
    """The retriever of the preset on random weights of the shape of its base."""
    config = preset("compact").model
    model = DualEncoder(random_whisper_tower(BASE), CharacterText(config.dim), config.dim)
    choose_trained(model.audio.encoder, config.unfreeze_layers, config.lora)
    return model.train()


def padded_outputs(model: DualEncoder, batch: Batch, rows: Sequence[Example]) -> RetrieverOutputs:
    """The outputs of the batch, each row padded to 30 s and encoded alone."""
    log_mel, parts = LogMel(model.mel_bins), []
    for i, row in enumerate(rows):
        audio = np.pad(read_stretch(row), (0, 480_000))[:480_000]
        inputs = RetrieverInputs(
            torch.from_numpy(log_mel(audio))[None],
            torch.tensor([PADDED_FRAMES]),
            batch.inputs.spans[i : i + 1],
            batch.inputs.terms,
            None if batch.inputs.texts is None else {n: t[i : i + 1] for n, t in batch.inputs.texts.items()},
        )
        parts.append(model(inputs))
    longest = int(batch.inputs.frames.max())
    texts = [p.texts for p in parts if p.texts is not None]
    return RetrieverOutputs(
        torch.cat([p.spans for p in parts]),
        torch.cat([p.chunks for p in parts]),
        parts[0].terms,
        torch.cat(texts) if texts else None,
        torch.cat([p.characters[:, :longest] for p in parts]),
        torch.cat([p.phonemes[:, :longest] for p in parts]),
    )


def stepper(way: str, rows: list[Example], lengths: list[int]) -> Callable[[int], Losses]:
    """A function that makes one whole step."""
    settings = preset("compact")
    torch.manual_seed(0)
    model = compact()
    optimiser = adamw(model.parameter_groups(), settings.optimiser)
    config = BatchConfig(model.mel_bins, settings.data.spans_per_row)
    maker = BatchMaker(config, model.text.tokenise, TrainingGlossary(()), Pronunciations())

    def loss(outputs: RetrieverOutputs, labels: object) -> Losses:
        return total_loss(outputs, labels, settings.losses, model.log_scale)  # type: ignore[arg-type]

    def step(number: int) -> Losses:
        batch = maker.make(rows, lengths, np.random.default_rng(number))
        assert batch is not None
        if way == "padded":
            losses = loss(padded_outputs(model, batch, rows), batch.labels)
            losses.total.backward()
        else:
            losses = cached_step(model, batch.inputs, batch.labels, loss, 2 if way == "cached" else None)
        optimiser.step()
        optimiser.zero_grad()
        return losses

    return step


def measure(way: str, rows: int, steps: int, threads: int) -> dict[str, float | str]:
    """Rows per second over `steps` steps after one that warms up, and the peak of this process."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        step = stepper(way, *make_rows(Path(folder), rows))
        step(0)
        started = time.perf_counter()
        for number in range(1, steps + 1):
            step(number)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"way": way, "rows_per_s": rows * steps / seconds, "step_s": seconds / steps, "peak_mb": peak}


def main() -> None:
    """Measure every way in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8, help="rows of a step (default 8)")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a way")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.rows, given.steps, given.threads)))
        return
    options = [f"--rows={given.rows}", f"--steps={given.steps}", f"--threads={given.threads}"]
    found = [json.loads(subprocess.check_output([sys.executable, __file__, f"--way={way}", *options])) for way in WAYS]
    if given.json:
        print("\n".join(json.dumps(row | {"ratio": row["rows_per_s"] / found[0]["rows_per_s"]}) for row in found))
        return
    print(f"{'':50} {'rows/s':>8} {'ratio':>6} {'s/step':>8} {'peak MB':>8}")
    for row in found:
        ratio = row["rows_per_s"] / found[0]["rows_per_s"]
        print(f"{TOLD[row['way']]:50} {row['rows_per_s']:8.2f} {ratio:6.1f} {row['step_s']:8.2f} {row['peak_mb']:8.0f}")


if __name__ == "__main__":
    main()
