"""Joined speech on disk, from which stretches are drawn anew in each step of the trainings of the block encoder.

A folder of sessions holds ``audio.s16`` (int16 samples at 16 kHz, memory-mapped) and ``sessions.jsonl`` (where each
session lies in it, and the words in it).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.compact.windows import Session
from training.corpus.manifest import Word

_LOUDEST = 32767
_AUDIO, _ROWS = "audio.s16", "sessions.jsonl"


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One session: its audio int16[n], still on disk, and its words in samples from its start."""

    audio: NDArray[np.int16]
    words: tuple[Word, ...]
    collection: str

    def between(self, start: int, samples: int) -> NDArray[np.float32]:
        """So many samples from `start` on, silence after the end of the session."""
        heard = self.audio[start : start + samples].astype(np.float32) / _LOUDEST
        return np.pad(heard, (0, samples - len(heard)))


def write_sessions(folder: Path, sessions: Iterable[Session]) -> int:
    """Write every session into an empty folder; returns how many."""
    count = first = 0
    with (folder / _AUDIO).open("wb") as audio, (folder / _ROWS).open("w", encoding="utf-8") as rows:
        for session in sessions:
            audio.write(np.round(session.audio * _LOUDEST).astype("<i2").tobytes())
            row = {
                "first": first,
                "samples": len(session.audio),
                "collection": session.collection,
                "words": [[word.text, word.start_sample, word.end_sample] for word in session.words],
            }
            rows.write(json.dumps(row) + "\n")
            first += len(session.audio)
            count += 1
    return count


def read_sessions(folders: Iterable[Path]) -> list[StoredSession]:
    """All sessions of some folders; of an empty folder none."""
    found = []
    for folder in folders:
        lines = (folder / _ROWS).read_text("utf-8").splitlines()
        if not lines:
            continue
        audio = np.memmap(folder / _AUDIO, np.dtype("<i2"), "r")
        for line in lines:
            row = json.loads(line)
            own = audio[row["first"] : row["first"] + row["samples"]]
            words = tuple(Word(str(text), int(start), int(end)) for text, start, end in row["words"])
            found.append(StoredSession(own, words, row["collection"]))
    return found
