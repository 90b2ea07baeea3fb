"""A recipe that takes seconds, and what its stages are run on."""

import json
from pathlib import Path

import numpy as np

from streaming.entries import Entry, make_form
from streaming.term_index import TermIndex
from training.compact import stages
from training.compact.g2p import G2pConfig
from training.compact.recipe import CompactRecipe, Materials
from training.compact.train_alignment import AlignmentTrainingConfig
from training.compact.train_spans import SpanTrainingConfig
from training.compact.train_verifier import VerifierTrainingConfig
from training.models.heads import HeadConfig

WORDS = ("dog", "cat", "sun", "bird", "milk", "rope", "lamp", "tree")
RECIPE = CompactRecipe(
    upper_layers=1,
    held_out={"readers": 1},
    background={"readers": 3},
    dim=16,
    g2p=G2pConfig(width=16, layers=1, heads=2, batch_words=8, epochs=1, warmup_steps=1),
    head=HeadConfig(32, 32),
    alignment=AlignmentTrainingConfig(steps=2, batch_frames=300, held_out_windows=4),
    verifier=VerifierTrainingConfig(steps=2, batch_windows=2, tokens=31, held_out_windows=4),
    spans=SpanTrainingConfig(steps=2, batch_spans=12, wrong_spans=4, unspoken_texts=16),
)


def run_to_features(materials: Materials) -> None:
    """The first four stages."""
    for stage in (stages.pronouncing, stages.caching, stages.aligning, stages.extracting):
        stage(materials, RECIPE)


def write_stream(folder: Path) -> Path:
    """A long stream of one recording, in which a term is said to occur."""
    stream = {
        "name": "short",
        "duration_s": 8.0,
        "utterances": [{"path": "u0.wav", "offset_s": 0.0}],
        "occurrences": [{"term": "dog", "start": 4.0, "end": 4.4}],
        "words": [["dog", 4.0, 4.4]],
    }
    (folder / "short.json").write_text(json.dumps(stream), "utf-8")
    return folder / "short.json"


def write_index(folder: Path, encoder_id: str) -> Path:
    """An index of three words with vectors of no meaning."""
    entries = [Entry(f"e{i}", word, {}) for i, word in enumerate(WORDS[:3])]
    forms = [make_form(i, word, [[("D", "AO", "G")]]) for i, word in enumerate(WORDS[:3])]
    vectors = np.eye(16, dtype=np.float32)[:3]
    TermIndex(entries, forms, vectors, np.zeros((3, 4), np.float32), encoder_id, "v1").save(folder)
    return folder
