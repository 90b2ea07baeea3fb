import json
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streaming.calibration import FEATURES
from streaming.encoder import OnnxFrameEncoder
from streaming.entries import Entry, make_form
from streaming.index.background import unpack_background
from streaming.model_folder import ModelFolder
from streaming.spotting.evidence import Evidence
from streaming.spotting.span_hubs import HUBS_FILE
from streaming.spotting.verifier import OnnxVerifier
from tests.training.compact.small_runs import RECIPE, WORDS, run_to_features, write_index, write_stream
from training.compact import stages
from training.compact.recipe import Materials, StageError, real_speech
from training.compact.stages import choose_contexts
from training.corpus.manifest import ManifestError
from training.evaluation.stream_evidence import Hop, StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference
from training.export.folder import uncalibrated, write_model_folder


def test_stages_make_a_model(materials: Materials, tmp_path: Path) -> None:
    """From recordings to a calibrated model folder, each stage on what the ones before it left."""
    run_to_features(materials)
    stages.spanning(materials, RECIPE)
    model = tmp_path / "model"
    stages.exporting(materials, RECIPE, model, {"licence": "none", "provenance": []})
    folder = ModelFolder.load(model)
    assert folder.contents.keys() == {
        "audio.onnx",
        "spans.onnx",
        "text.onnx",
        "g2p.onnx",
        "background.npy",
        HUBS_FILE,
    }
    assert len(unpack_background(folder.contents["background.npy"])) == 3
    index = write_index(tmp_path / "index", folder.encoder_id)
    with pytest.raises(StageError, match="1 stream gave no right candidate"):
        stages.calibrating(materials, model, {write_stream(tmp_path): [index]})
    assert ModelFolder.load(model).encoder_id == folder.encoder_id
    check_verifier(materials, model, folder.contents.keys())


def check_verifier(materials: Materials, model: Path, without: Set[str]) -> None:
    """The stage verify adds two files to the folder; they must be of the encoder that is in it."""
    tower = stages.load_alignment(materials, RECIPE).tower
    assert stages.load_verifier(materials, RECIPE, tower) is None
    stages.verifying(materials, RECIPE)
    stages.exporting(materials, RECIPE, model, {"licence": "none", "provenance": []})
    folder = ModelFolder.load(model)
    assert folder.contents.keys() == without | {"verifier.onnx", "verifier_tokens.json"}
    hidden = OnnxFrameEncoder(folder).encode(np.zeros(48_000, np.float32)).hidden
    assert hidden is not None
    [found] = OnnxVerifier(folder).log_probs(hidden, [(20, 40)], ["dog"])
    assert len(found) == 3  # of 31 tokens one is a blank with a d, none a whole word
    parity = json.loads((model / "spec.json").read_text("utf-8"))["parity"]
    assert parity["verifier_fp32"]["largest"] <= parity["verifier_int8"]["largest"] < 0.05
    part = stages.load_verifier(materials, RECIPE, tower)
    assert part is not None
    assert not part.verifier.training
    with torch.no_grad():
        tower.layer_norm.bias.add_(1)
    with pytest.raises(StageError, match=r"verifier\.pt was trained on another encoder"):
        stages.load_verifier(materials, RECIPE, tower)


def heard(name: str) -> StreamEvidence:
    """Evidence as `collect` gives it: a term that is said, found with much confidence, and another, with little."""
    entries = tuple(Entry(f"e{i}", word, {}) for i, word in enumerate(WORDS[:3]))
    forms = tuple(make_form(i, word, []) for i, word in enumerate(WORDS[:3]))
    found = []
    for form, strength in ((0, -0.1), (1, -1.5)):
        numbers = dict.fromkeys(FEATURES, 0.0) | {"characters": strength, "phonemes": strength}
        found.append(Evidence(form, 200, 219, numbers))
    hops = tuple(Hop(i * 5_120, (i + 1) * 5_120, 0, tuple(found) if i == 13 else ()) for i in range(25))
    reference = Reference(8.0, (Occurrence(WORDS[0], 4.0, 4.4),), ((WORDS[0], 4.0, 4.4),))
    return StreamEvidence(name, 3, reference, entries, forms, hops)


def test_calibration_is_written_into_the_model(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of all streams and the table go into the folder, which keeps its graphs and its id."""
    model = tmp_path / "model"
    spec = {"name": "tiny", "context_samples": 48_000, "frame_samples": 320, "feature_width": 32, "dim": 16}
    facts = {"licence": "none", "provenance": [], "calibration": uncalibrated().to_json()}
    write_model_folder(model, {"a.onnx": b"bytes"}, {**spec, **facts})
    before = ModelFolder.load(model)
    index = write_index(tmp_path / "index", before.encoder_id)
    monkeypatch.setattr(stages, "collect", lambda stream, folder, indexes: [heard("one"), heard("two"), heard("two13")])
    stages.calibrating(materials, model, {write_stream(tmp_path): [index]})
    after = ModelFolder.load(model)
    assert after.encoder_id == before.encoder_id
    assert after.calibration.sizes == (3,)
    assert after.calibration.weights[0] > 0
    report = json.loads((model / "spec.json").read_text("utf-8"))["calibration_report"]["streams"]
    assert [row["stream"] for row in report] == ["one", "two", "two13"]
    assert report[0]["recall_at_false_hints_per_hour"]["12"] == 1.0


def test_whole_caches_are_kept(materials: Materials) -> None:
    """A second run of a stage makes only the folders that are missing."""
    stages.caching(materials, RECIPE)
    cache = materials.work / "cache"
    assert {p.name for p in cache.iterdir()} == {"held_out", "clean", "augmented1", "synthetic0", "synthetic1"}
    clean, held_out = cache / "clean" / "windows_150.jsonl", cache / "held_out" / "windows_150.jsonl"
    before = clean.stat().st_mtime_ns, held_out.read_bytes()
    held_out.unlink()
    (cache / "held_out" / "frames_150.f16").unlink()
    (cache / "held_out").rmdir()
    stages.caching(materials, RECIPE)
    assert (clean.stat().st_mtime_ns, held_out.read_bytes()) == before


def test_a_failing_cache_leaves_no_folder(materials: Materials) -> None:
    """Where a recording is lost, the cache that needed it is absent, not half there."""
    (materials.data.parent / "u0.wav").unlink()
    with pytest.raises(ManifestError, match=r"u0\.wav"):
        stages.caching(materials, RECIPE)
    assert {p.name for p in (materials.work / "cache").iterdir()} <= {"held_out", "clean"}
    assert len(list((materials.work / "cache").iterdir())) < 2


@pytest.mark.parametrize(
    ("stage", "missing"),
    [
        (stages.aligning, "g2p first"),
        (stages.extracting, "align first"),
        (stages.verifying, "align first"),
        (stages.spanning, "features first"),
        (lambda m, r: stages.exporting(m, r, m.work / "model", {}), "align first"),
    ],
)
def test_stages_name_what_is_missing(materials: Materials, stage: stages.Stage, missing: str) -> None:
    """A stage that is run too early says which one comes first."""
    with pytest.raises(StageError, match=missing):
        stage(materials, RECIPE)


def test_unfinished_trainings_are_not_used(materials: Materials) -> None:
    """A checkpoint of fewer epochs than the recipe's is no model yet."""
    stages.pronouncing(materials, RECIPE)
    longer = replace(RECIPE, g2p=replace(RECIPE.g2p, epochs=2))
    with pytest.raises(StageError, match="stopped after epoch 1 of 2"):
        stages.load_g2p(materials, longer)


def test_damaged_checkpoints_are_named(materials: Materials) -> None:
    """A checkpoint that cannot be read is told with its path and the cure."""
    (materials.work / "g2p").mkdir(parents=True)
    (materials.work / "g2p" / "g2p.pt").write_bytes(b"PK nonsense")
    with pytest.raises(StageError, match=r"g2p\.pt is damaged: remove it"):
        stages.load_g2p(materials, RECIPE)


def test_contexts_of_unknown_collections_are_shared(materials: Materials) -> None:
    """Without the collections named, contexts are taken from those that are there."""
    _, held_out = real_speech(materials, RECIPE)
    contexts = choose_contexts(held_out, {"librispeech": 2, "vctk": 1})
    assert [context.shape for context in contexts] == [(48_000,)] * 3
    with pytest.raises(StageError, match="less than one context"):
        choose_contexts([], {"librispeech": 2})
