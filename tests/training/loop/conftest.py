import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import pytest
import soundfile

from tests.training.loop.train_commands import Training


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Training:
    """Another training in place, in an empty working folder."""
    stand_in = Training()
    module = SimpleNamespace(run_training=stand_in.run_training)
    monkeypatch.setitem(sys.modules, "training.loop.assemble", cast(ModuleType, module))
    monkeypatch.chdir(tmp_path)
    return stand_in


@pytest.fixture
def rows(tmp_path: Path) -> list[str]:
    """The options that name a few rows of tones with terms."""
    rng = np.random.default_rng(2)
    samples = []
    for i in range(8):
        tone = 0.2 * np.sin(np.arange(24_000) * (0.05 + 0.01 * i)) + rng.normal(0, 0.01, 24_000)
        soundfile.write(tmp_path / f"r{i}.wav", tone, 16_000, subtype="PCM_16")
        term = [] if i == 7 else [f"term {'abcd'[i % 4]}"]
        samples.append(
            {"segment_id": f"r{i}", "text": f"we say {' '.join(term)}", "audio": f"r{i}.wav", "begin_time": 0.0,
             "end_time": 1.5, "audio_id": f"r{i}", "ground_truth_term": term, "has_target": bool(term),
             "original_tsv_index": i}
        )  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps(samples[:4]))
    (tmp_path / "test.json").write_text(json.dumps(samples[4:]))
    glossary = {f"term {c}": {"term": f"term {c}", "target_translations": {"de": f"Wort {c}"}} for c in "abcdef"}
    (tmp_path / "glossary.json").write_text(json.dumps(glossary))
    return ["--train", "train.json", "--test-samples", "test.json", "--glossary", "glossary.json"]
