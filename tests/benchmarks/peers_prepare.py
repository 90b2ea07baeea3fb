"""What all peers of a run share, written to one folder before they start: audio, reference, terms, pronunciations.

Each peer then runs in a process that holds its own things only, so that its peak memory is its own.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from training.evaluation.stream_metrics import Reference


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to say a term; ARPAbet of each word, where the index has it."""

    term: str
    words: tuple[str, ...]
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One stream in the folder of a run."""

    folder: Path
    name: str
    reference: Reference
    bounds: tuple[tuple[float, float], ...]

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """What `prepare_stream` wrote."""
        raw = json.loads((folder / f"{name}.json").read_text("utf-8"))
        return cls(folder, name, Reference.from_json(raw), tuple((a, b) for a, b in raw["bounds"]))

    def chunks(self, seconds: float) -> Iterator[bytes]:
        """The audio piece by piece, s16le."""
        with (self.folder / f"{self.name}.pcm").open("rb") as stream:
            while piece := stream.read(round(seconds * SAMPLE_RATE) * 2):
                yield piece

    def audio(self, start: float, end: float) -> NDArray[np.float32]:
        """A stretch, float32[n] at 16 kHz."""
        with (self.folder / f"{self.name}.pcm").open("rb") as stream:
            stream.seek(round(start * SAMPLE_RATE) * 2)
            piece = stream.read((round(end * SAMPLE_RATE) - round(start * SAMPLE_RATE)) * 2)
        return np.asarray(np.frombuffer(piece, "<i2"), np.float32) / np.float32(32_768)


def whole_utterances(
    bounds: Sequence[tuple[float, float]], seconds: float | None
) -> tuple[tuple[tuple[float, float], ...], float]:
    """The utterances that end within `seconds` (all if None), and the end of the last: where the stream is cut.

    Raises ValueError if not even the first does.
    """
    kept = tuple(bound for bound in bounds if seconds is None or bound[1] <= seconds)
    if not kept:
        raise ValueError(f"the first utterance ends at {bounds[0][1]:.1f} s, after the {seconds} s asked for")
    return kept, max(end for _, end in kept)


def prepare_stream(path: Path, data: Path, folder: Path, seconds: float | None) -> Prepared:
    """Join a stream's audio, cut it after its last whole utterance within `seconds`, write both to `folder`."""
    import soundfile

    from tests.benchmarks.peers_rows import cut_reference
    from training.evaluation.collect import read_stream

    stream = read_stream(path, data)
    raw = json.loads(path.read_text("utf-8"))
    bounds, end = whole_utterances(
        [(u["offset_s"], u["offset_s"] + soundfile.info(data / u["path"]).duration) for u in raw["utterances"]], seconds
    )
    reference = stream.reference if seconds is None else cut_reference(stream.reference, end)
    (folder / f"{stream.name}.pcm").write_bytes(stream.pcm[: round(reference.duration_s * SAMPLE_RATE) * 2])
    written: dict[str, Any] = {
        "duration_s": reference.duration_s,
        "occurrences": [{"term": o.term, "start": o.start, "end": o.end} for o in reference.occurrences],
        "words": reference.words,
        "bounds": bounds,
    }
    (folder / f"{stream.name}.json").write_text(json.dumps(written), "utf-8")
    return Prepared.load(folder, stream.name)


def prepare_index(glossary: Path, model: Path | None, cache: Path, phrases: Path) -> None:
    """Build a glossary's index into the cache, and write the phrases of its forms for peers with a lexicon."""
    from app.glossaries import open_glossary
    from app.loaded_model import load_folder
    from app.places import Places
    from streaming.entries import arpabet

    index = open_glossary(str(glossary), load_folder(model), Places(cache, cache)).index
    rows = []
    for form in index.forms:
        phones = arpabet(form.pronunciations[0]).split(" | ") if form.pronunciations else []
        rows.append([index.entries[form.entry_index].term, form.text.split(" "), phones])
    phrases.write_text(json.dumps(rows), "utf-8")


def read_phrases(path: Path) -> list[Phrase]:
    """What `prepare_index` wrote."""
    return [Phrase(term, tuple(words), tuple(phones)) for term, words, phones in json.loads(path.read_text("utf-8"))]


def read_terms(glossary: Path) -> list[str]:
    """The first column of a glossary, without its header."""
    import csv

    with glossary.open(encoding="utf-8", newline="") as lines:
        return [row["term"] for row in csv.DictReader(lines)]
