"""A tiny Qwen2-Audio learns 200 terms by speech synthesis from nothing, and its exported folder hears them.

Real classes, processor and tokenizer of transformers; only the weights are random. Voices and everyday phrases of the
judgement are in no training row.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from app.cli import run
from tests.training import espeak
from training.corpus.rows import read_examples
from training.evaluation.evaluate import EvaluationTerms
from training.evaluation.retriever import evaluate_retriever
from training.loop import settings
from training.loop.config import (
    DataConfig,
    HardNegativeConfig,
    LossConfig,
    ModelConfig,
    OptimiserConfig,
    RunConfig,
    TrainConfig,
)
from training.models.retriever import build_retriever
from training.models.tiny import write_tiny_qwen2_audio
from training.speech.carriers import PHRASES

CARRIERS = (("the", ""), ("a", ""), ("", "is"), ("this", ""))
TRAINING_VOICES = 32

pytestmark = pytest.mark.long

torch.set_num_threads(1)  # on few cores the threads of small products wait for each other


@dataclass(frozen=True)
class Trained:
    """What a training left, and the rows beside it."""

    folder: Path
    config: TrainConfig
    terms: tuple[str, ...]


def everyday(phrases: Sequence[str], count: int = 3_000) -> list[str]:
    """Their words in pairs of any kind: a few phrases over and over would be learnt by heart."""
    rng = random.Random(1)
    words = sorted({word for phrase in phrases for word in phrase.split()})
    return [" ".join(rng.sample(words, 2)) for _ in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Speech of 200 terms by 32 voices, and `termcue train` on it."""
    folder = tmp_path_factory.mktemp("learning")
    terms = espeak.technical_terms()
    speakers = [espeak.voices()[7 * i % 160] for i in range(TRAINING_VOICES + 6)]
    heard, unheard = everyday(PHRASES[:80]), PHRASES[80:]
    for name, some, phrases, share in (
        ("test", speakers[:4], unheard, 0.3),
        ("dev", speakers[4:6], unheard, 0.3),
        ("train", speakers[6:], heard, 0.3),
    ):
        espeak.make_corpus(folder / name, terms, some, 1, no_term_share=share, phrases=phrases, carriers=CARRIERS)
    words = [word for term in terms for word in term.split()]
    model = write_tiny_qwen2_audio(folder / "qwen", words=words)
    (folder / "terms.csv").write_text("term\n" + "".join(f"{term}\n" for term in terms), "utf-8")
    config = TrainConfig(
        model=ModelConfig(model_name=str(model), dim=64, head_width=96, unfreeze_layers=None, offline=True),
        losses=LossConfig(no_term=1.5),
        hard_negatives=HardNegativeConfig(candidates=20, per_batch=8),
        data=DataConfig(
            train=(folder / "train" / "rows.jsonl",), no_term_share=0.3, augment=False, spans_per_row=8, workers=1
        ),
        optimiser=OptimiserConfig(rate=1.5e-3, projection_factor=1.3, warmup_steps=30, schedule="cosine"),
        run=RunConfig(epochs=4, batch_size=64, save_path=folder / "out" / "full.pt", logs=folder / "logs"),
    )
    file = folder / "settings.json"
    file.write_text(json.dumps(settings.written(config)), "utf-8")
    assert run(["train", f"--settings={file}"]) == 0
    return Trained(folder, config, terms)


@pytest.fixture(scope="module")
def figures(trained: Trained) -> dict[str, Any]:
    """What `termcue evaluate` says of four unheard voices; each half of them chooses the threshold of the other."""
    out = trained.folder / "evaluation.json"
    options = [f"--samples={trained.folder / 'test' / 'rows.jsonl'}", f"--glossary={trained.folder / 'terms.csv'}"]
    assert run(["evaluate", f"--model={trained.config.run.save_path}", *options, f"--out={out}", "--json"]) == 0
    scores: dict[str, Any] = json.loads(out.read_text("utf-8"))["scores"]["test"][0]
    return scores


def test_untrained_it_guesses(trained: Trained) -> None:
    """Before training, recall@10 of 200 terms is near the 0.05 of chance."""
    torch.manual_seed(trained.config.run.seed)
    model = build_retriever(trained.config.model)
    rows = read_examples([trained.folder / "test" / "rows.jsonl"])
    found = evaluate_retriever(model, rows, EvaluationTerms(glossary=trained.terms))
    assert found.recall_at_10 < 0.15


def test_terms_of_unheard_voices_are_found(figures: dict[str, Any]) -> None:
    """After it, the right one is among ten in at least nine of ten occurrences."""
    assert figures["occurrences"] == 800
    assert figures["recall_at_10"] >= 0.9


def test_speech_without_a_term_is_rejected(figures: dict[str, Any]) -> None:
    """At the threshold that leaves nine of ten, at least nine of ten rows without a term are rejected.

    The phrases of these rows were never trained on, and the threshold comes from other voices.
    """
    assert figures["threshold_split"] == "other half"
    assert figures["recall_at_threshold"] >= 0.88
    assert figures["rejection_rate"] >= 0.9


def test_the_exported_folder_hears_them(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported to int8, calibrated on other voices and listening to one never heard, it hints most terms, hardly others."""
    folder, model = trained.folder, trained.folder / "served"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "share"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    speech = f"--speech={folder / 'dev'}"
    assert run(["export", str(trained.config.run.save_path), str(model), speech, "--precision=int8", "--offline"]) == 0
    glossary = f"--glossary={folder / 'terms.csv'}"
    assert run(["calibrate", f"--model={model}", f"--speech={folder / 'dev' / 'rows.jsonl'}", glossary]) == 0
    capsys.readouterr()
    recording = min((folder / "test").glob("*.wav"))
    assert run(["listen", str(recording), glossary, f"--model={model}", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    hints = [event for event in events if event["type"] == "TermHint"]
    said = [
        (term.term, row.start_sample + term.start_sample, row.start_sample + term.end_sample)
        for row in read_examples([folder / "test" / "rows.jsonl"])
        if row.audio.name == recording.name
        for term in row.terms
    ]
    assert len(said) == 200
    right = [h for h in hints if any(t == h["term"] and _meet(h, first, last) for t, first, last in said)]
    found = [t for t, first, last in said if any(t == h["term"] and _meet(h, first, last) for h in right)]
    assert len(found) >= 0.8 * len(said)
    assert len(hints) - len(right) <= 0.1 * len(said)


def _meet(hint: dict[str, int], first: int, last: int) -> bool:
    return hint["start_sample"] < last and hint["end_sample"] > first
