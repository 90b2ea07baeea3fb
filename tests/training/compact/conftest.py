import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.training.compact.small_runs import WORDS
from training.compact.block_sessions import StoredSession
from training.compact.recipe import Materials
from training.compact.targets import Lexicon
from training.corpus.manifest import Word
from training.models.block_encoder import BlockEncoder
from training.models.heads import HeadConfig

TONES = {"dog": 500.0, "cat": 1100.0, "sun": 2300.0}


@pytest.fixture
def sessions() -> list[StoredSession]:
    """Three sessions of 3 s in which each word is a tone of its own, 0.2 s long, between pauses of as long."""
    rng = np.random.default_rng(0)
    made = []
    for collection in ("c", "c", "an4"):
        audio = rng.standard_normal(48_000) * 30
        words = []
        for start in range(1600, 44_000, 6400):
            text = str(rng.choice(list(TONES)))
            audio[start : start + 3200] += 8000 * np.sin(2 * np.pi * TONES[text] * np.arange(3200) / 16_000)
            words.append(Word(text, start, start + 3200))
        made.append(StoredSession(audio.astype(np.int16), tuple(words), collection))
    return made


@pytest.fixture
def toy_lexicon(tmp_path: Path) -> Lexicon:
    """Pronunciations of the words of the sessions."""
    (tmp_path / "toy.dict").write_text("dog D AO1 G\ncat K AE1 T\nsun S AH1 N\n", "utf-8")
    return Lexicon(tmp_path / "toy.dict", lambda words: [("AH",) for _ in words])


@pytest.fixture
def tiny_encoder() -> Callable[[int], BlockEncoder]:
    """Makes an encoder of one layer, 16 wide, with random weights of a seed, positions included."""

    def make(seed: int) -> BlockEncoder:
        torch.manual_seed(seed)
        encoder = BlockEncoder(16, 2, 1, HeadConfig(16, 16))
        encoder.get_buffer("positions").normal_(0, 0.1)
        return encoder.eval()

    return make


@pytest.fixture
def materials(tmp_path: Path, whole_whisper: Path) -> Materials:
    """Three readers of noise, a word each half second, one recording untimed and one for evaluation."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(9):
        path = tmp_path / f"u{i}.wav"
        soundfile.write(path, rng.standard_normal(16_000 * 8) * 0.05, 16_000, subtype="PCM_16")
        words = [[WORDS[(i + k) % 8], 0.5 * k, 0.5 * k + 0.4] for k in range(16)]
        rows.append({"id": f"u{i}", "path": path.name, "speaker": f"r{i % 3}", "collection": "readers", "use": "train"})
        rows[-1] |= {"duration_s": 8.0, "words": words if i < 8 else None}
    rows.append({**rows[0], "id": "e", "use": "evaluate"})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "small.dict").write_text("".join(f"{word} D AO1 G\n" for word in WORDS), "utf-8")
    return Materials(
        tmp_path / "work",
        tmp_path / "manifest.jsonl",
        tmp_path / "manifest.jsonl",
        tmp_path / "small.dict",
        whole_whisper,
    )
