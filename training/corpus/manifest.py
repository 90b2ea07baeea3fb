"""Training rows: utterances with their words in time, read from JSON lines and checked one by one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from streaming.symbols import words_of


class ManifestError(TermCueError):
    """A manifest row that cannot be used; the message names file, line and value."""


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word in letters of the alphabet, with its bounds in samples of its utterance."""

    text: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of one speaker; `words` is empty where no time is known."""

    utterance_id: str
    path: Path
    speaker: str
    collection: str
    use: str
    duration_s: float
    words: tuple[Word, ...]


def spoken_words(text: str, start_s: float, end_s: float) -> Iterator[Word]:
    """The words in a token such as "twenty-one", in letters of the alphabet; they share its seconds by their length."""
    parts = words_of(text)
    letters, begun = sum(map(len, parts)), 0
    for part in parts:
        first = start_s + (end_s - start_s) * begun / letters
        begun += len(part)
        last = start_s + (end_s - start_s) * begun / letters
        yield Word(part, round(first * SAMPLE_RATE), round(last * SAMPLE_RATE))


def _words(row: Mapping[str, Any]) -> tuple[Word, ...]:
    words: list[Word] = []
    for text, start, end in row.get("words") or []:
        if not start <= end:
            raise ValueError(f"the word {text!r} ends at {end}, before it starts at {start}")
        # Alignments of clipped speech may begin a little before the audio does.
        start = max(0.0, start)
        words += spoken_words(str(text), start, max(start, end))
    return tuple(words)


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Rows of a JSON-lines manifest, in order; audio paths are relative to its folder.

    Raises ManifestError with the line number for a row that is not UTF-8 or JSON, lacks a key or has a word that ends
    before it starts.
    """
    try:
        lines = path.open("rb")
    except OSError as error:
        raise ManifestError(f"cannot read the manifest {path}: {error.strerror}; name a file of JSON lines") from error
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                utterance = _utterance(json.loads(line), path.parent)
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                raise ManifestError(
                    f"{path}, line {number}: not a usable row ({error!r}); mend or remove it"
                ) from error
            yield utterance


def _utterance(row: Mapping[str, Any], folder: Path) -> Utterance:
    return Utterance(
        utterance_id=str(row["id"]),
        path=folder / row["path"],
        speaker=str(row.get("speaker") or row.get("voice") or "unknown"),
        collection=str(row.get("collection", "synthetic")),
        use=str(row.get("use", "train")),
        duration_s=float(row["duration_s"]),
        words=_words(row),
    )


def read_audio(utterance: Utterance) -> NDArray[np.float32]:
    """float32[n], mono at 16 kHz. Raises ManifestError for no audio, another format or values that are not finite."""
    try:
        audio, rate = soundfile.read(utterance.path, dtype="float32")
    except (OSError, soundfile.SoundFileError) as error:
        raise ManifestError(f"{utterance.path}: cannot be read ({error}); restore it or remove its row") from error
    if rate != SAMPLE_RATE or audio.ndim != 1:
        raise ManifestError(f"{utterance.path}: {rate} Hz, shape {audio.shape}; make it 16000 Hz mono first")
    if not len(audio):
        raise ManifestError(f"{utterance.path}: holds no samples; leave it out")
    if not np.isfinite(audio).all():
        raise ManifestError(f"{utterance.path}: holds NaN or infinite samples; leave it out")
    return np.asarray(audio, np.float32)
