import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from streaming.encoding.block_shape import BlockShape
from streaming.index.background import unpack_background
from streaming.model_folder import ModelFolder
from streaming.spotting.span_hubs import HUBS_FILE, hubs_of
from streaming.spotting.verifier import OnnxVerifier
from tests.training.export.traced_verifier import trace_verifier
from training.compact import block_stages, served_stages, stages
from training.compact.__main__ import main
from training.compact.block_earlier import read_teacher, read_verifier
from training.compact.block_stretches import StretchConfig
from training.compact.block_verifier import BlockVerifierConfig
from training.compact.g2p import G2pConfig
from training.compact.recipe import CompactRecipe, Materials, StageError
from training.compact.served_crops import ServedVerifierConfig
from training.compact.train_blocks import BlockTrainingConfig
from training.compact.train_verifier import VerifierSchedule
from training.export.folder import uncalibrated, write_model_folder
from training.export.graphs import export_graph
from training.export.verifier import lower_case_tokens
from training.models.block_encoder import BlockEncoder
from training.models.heads import HeadConfig, SpanTower
from training.models.verifier import SpanVerifier, VerifierConfig

WORDS, WIDTH = ("dog", "cat", "sun", "bird"), 64
STRETCHES = StretchConfig(frames=160)
RECIPE = CompactRecipe(
    held_out={"readers": 1},
    background={"readers": 2},
    g2p=G2pConfig(width=16, layers=1, heads=2, batch_words=8, epochs=1, warmup_steps=1),
    blocks=BlockTrainingConfig(steps=2, rows=2, copies=1, stretches=STRETCHES, held_out_batches=1, held_out_rows=2),
    block_verifier=BlockVerifierConfig(
        VerifierSchedule(steps=2, batch_windows=2, crops_per_window=3, held_out_windows=2), STRETCHES
    ),
    served_verifier=ServedVerifierConfig(
        VerifierSchedule(steps=2, batch_windows=3, crops_per_window=1, held_out_windows=3, precision="fp32"), copies=2
    ),
)


def teacher(folder: ModelFolder) -> BlockEncoder:
    """Stands for the encoder that is read back, in a size that is quick."""
    assert "audio.onnx" in folder.contents
    torch.manual_seed(3)
    return BlockEncoder(WIDTH, 1, 1, HeadConfig(WIDTH, 16)).eval()


@pytest.fixture
def materials(tmp_path: Path, whisper_tokenizer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Materials:
    """Three readers of noise with a word each half second, and an earlier model whose decoder is a small one, in a traced graph."""
    monkeypatch.setattr(block_stages, "read_teacher", teacher)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(3):
        soundfile.write(tmp_path / f"u{i}.wav", rng.standard_normal(128_000) * 0.05, 16_000, subtype="PCM_16")
        words = [[WORDS[(i + k) % 4], 0.5 * k, 0.5 * k + 0.4] for k in range(16)]
        row = {"id": f"u{i}", "path": f"u{i}.wav", "speaker": f"r{i}", "collection": "readers", "use": "train"}
        rows.append({**row, "duration_s": 8.0, "words": words})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "small.dict").write_text("".join(f"{word} D AO1 G\n" for word in WORDS), "utf-8")
    tokens, kept = lower_case_tokens(whisper_tokenizer, 40, 0, 1)
    torch.manual_seed(4)
    verifier = SpanVerifier(VerifierConfig(len(kept), WIDTH, layers=1, heads=1, inner=96))
    for parameter in verifier.parameters():
        # The export would join weights that are equal.
        parameter.data += 0.05 * torch.randn(parameter.shape)
    files: dict[str, Path | bytes] = {"verifier.onnx": trace_verifier(verifier, tmp_path)}
    files |= {"audio.onnx": b"a", "g2p.onnx": b"g", "text.onnx": b"t", "background.npy": b"b"}
    files["spans.onnx"] = tmp_path / "spans.onnx"
    axes = {"pooled": {0: "n"}, "vectors": {0: "n"}}
    export_graph(SpanTower(6 * 16, 16), {"pooled": torch.randn(2, 6 * 16)}, tmp_path / "spans.onnx", ["vectors"], axes)
    files["verifier_tokens.json"] = json.dumps(tokens).encode()
    spec: dict[str, Any] = {"name": "tiny", "context_samples": 48_000, "frame_samples": 320, "feature_width": 16}
    spec |= {
        "dim": 16,
        "licence": "none",
        "provenance": [],
        "parity": {"text_int8": {"largest": 0.1}},
        "golden": {"text": [0.5]},
    }
    write_model_folder(tmp_path / "work" / "model", files, {**spec, "calibration": uncalibrated().to_json()})
    manifest = tmp_path / "manifest.jsonl"
    return Materials(tmp_path / "work", manifest, manifest, tmp_path / "small.dict", tmp_path)


def test_stages_make_a_model_of_blocks(materials: Materials, tmp_path: Path) -> None:
    """From recordings and an earlier model to one that hears blocks, each stage on what those before it left."""
    stages.pronouncing(materials, RECIPE)
    block_stages.teaching_blocks(materials, RECIPE)
    assert {path.name for path in (materials.work / "sessions").iterdir()} == {"real1", "synthetic1", "held_out"}
    block_stages.verifying_blocks(materials, RECIPE)
    block_stages.exporting_blocks(materials, RECIPE, tmp_path / "made", {"licence": "none", "provenance": []})
    made = ModelFolder.load(tmp_path / "made")
    assert made.spec.blocks == BlockShape()
    as_before = {"g2p.onnx", "text.onnx", "spans.onnx"}
    assert made.contents.keys() >= as_before | {"step.onnx", "verifier.onnx", "verifier_tokens.json", "background.npy"}
    assert np.linalg.norm(hubs_of(made), axis=1) == pytest.approx(1, abs=1e-3)
    assert len(hubs_of(made)) > 0
    assert len(unpack_background(made.contents["background.npy"])) == 2
    encoder, first = block_stages.load_blocks(materials, RECIPE), teacher(block_stages.earlier_folder(materials))
    assert not torch.equal(encoder.conv1.weight, first.conv1.weight)
    assert made.contents["verifier.onnx"] != block_stages.earlier_folder(materials).contents["verifier.onnx"]
    check_rewritten(materials, made)
    check_going_on(materials, ModelFolder.load(made.path), tmp_path / "better")
    check_other_encoder(materials)


def check_rewritten(materials: Materials, made: ModelFolder) -> None:
    """A step that is written anew has the same weights; what is not heard by it stays, and so does the calibration."""
    before = read_teacher(made).state_dict()
    block_stages.rewriting_step(materials, RECIPE, made.path)
    again = ModelFolder.load(made.path)
    assert again.calibration.to_json() == made.calibration.to_json()
    for name, content in made.contents.items():
        assert name in {"step.onnx", "background.npy", HUBS_FILE} or again.contents[name] == content
    for name, weight in read_teacher(again).state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=1e-6, atol=0)
    with pytest.raises(StageError, match="does not hear blocks"):
        block_stages.rewriting_step(materials, RECIPE, block_stages.earlier_folder(materials).path)


def test_a_verifier_is_written_anew(materials: Materials) -> None:
    """It gives what it gave, all else stays, and a graph that was written already stays the same to the last byte."""
    path = materials.work / "model"
    before, spec = ModelFolder.load(path), json.loads((path / "spec.json").read_text("utf-8"))
    served_stages.rewriting_verifier(materials, path)
    after = ModelFolder.load(path)
    assert {name for name in before.contents if after.contents[name] != before.contents[name]} == {"verifier.onnx"}
    again = json.loads((path / "spec.json").read_text("utf-8"))
    assert {key for key in spec if again[key] != spec[key]} == {"sha256", "spec_sha256"}
    hidden = np.random.default_rng(2).standard_normal((50, WIDTH)).astype(np.float32)
    spans, texts = [(3, 20), (10, 40)], ["dog", "cat and dog"]
    for old, new in zip(*(OnnxVerifier(one).log_probs(hidden, spans, texts) for one in (before, after)), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-3)
    served_stages.rewriting_verifier(materials, path)
    assert ModelFolder.load(path).contents == after.contents


def check_going_on(materials: Materials, made: ModelFolder, target: Path) -> None:
    """The verifier learns from what the folder's own graph gives; of the folder, only the verifier becomes another."""
    given = replace(materials, earlier=made.path)
    with pytest.raises(StageError, match="run the stage verify-served first"):
        served_stages.exporting_verifier(given, RECIPE, target, {})
    served_stages.verifying_served(given, RECIPE)
    heard = {path.name.split("-")[0]: path.stat().st_mtime_ns for path in (materials.work / "served").iterdir()}
    assert heard.keys() == {"clean", "changed1", "changed2", "synthetic", "held_out"}
    served_stages.exporting_verifier(given, RECIPE, target, {"licence": "free"})
    again = {path.name.split("-")[0]: path.stat().st_mtime_ns for path in (materials.work / "served").iterdir()}
    assert again == heard
    better = ModelFolder.load(target)
    assert {name for name in made.contents if better.contents[name] != made.contents[name]} == {"verifier.onnx"}
    assert json.loads((target / "spec.json").read_text("utf-8"))["licence"] == "free"
    assert better.calibration.to_json() == made.calibration.to_json()
    before, after = (read_verifier(folder).verifier.state_dict() for folder in (made, better))
    torch.testing.assert_close(after["embed_tokens.weight"], before["embed_tokens.weight"], rtol=1e-5, atol=1e-6)
    assert not torch.equal(after["layers.0.encoder_attn.k_proj.weight"], before["layers.0.encoder_attn.k_proj.weight"])
    with pytest.raises(StageError, match="does not hear blocks"):
        served_stages.verifying_served(replace(materials, earlier=materials.work / "model"), RECIPE)


def check_other_encoder(materials: Materials) -> None:
    """A verifier goes with the encoder that it was trained on only."""
    path = materials.work / "blocks" / "blocks.pt"
    state = torch.load(path, weights_only=True)
    state["weights"]["encoder.norm.bias"] += 1
    torch.save(state, path)
    with pytest.raises(StageError, match=r"trained on another encoder: .*run the stage verify-blocks again"):
        block_stages.exporting_blocks(materials, RECIPE, materials.work / "made", {})


def test_sessions_are_joined_once(materials: Materials) -> None:
    """A second run makes only the folders that are missing; speakers held out are in none of the others."""
    first = block_stages._sessions(materials, RECIPE)
    kept = materials.work / "sessions" / "real1" / "audio.s16"
    before = kept.stat().st_mtime_ns
    block_stages._sessions(materials, replace(RECIPE, blocks=replace(RECIPE.blocks, copies=2)))
    assert kept.stat().st_mtime_ns == before
    assert (materials.work / "sessions" / "synthetic2").exists()
    training, held_out = ({session.collection: sum(len(s.words) for s in some) for session in some} for some in first)
    assert held_out == {"readers": 16}
    # Of the real speakers two, and all rows of what stands for synthetic speech.
    assert training == {"readers": 16 * 2 + 16 * 3}


def test_stages_name_what_is_missing(materials: Materials) -> None:
    """A stage that is run too early says which one comes first."""
    for stage, missing in (
        (block_stages.teaching_blocks, "run the stage g2p first"),
        (block_stages.verifying_blocks, "run the stage blocks first"),
        (lambda m, r: block_stages.exporting_blocks(m, r, m.work / "made", {}), "run the stage blocks first"),
    ):
        with pytest.raises(StageError, match=missing):
            stage(materials, RECIPE)


def test_the_earlier_model_may_be_named(materials: Materials, tmp_path: Path) -> None:
    """One that is named comes before the one in the work folder, and without both the bundled one is taken."""
    named = tmp_path / "named"
    (materials.work / "model").rename(named)
    assert block_stages.earlier_folder(replace(materials, earlier=named)).spec.name == "tiny"
    assert block_stages.earlier_folder(materials).spec.name == "compact"


@pytest.mark.parametrize(
    "stage", ["blocks", "verify-blocks", "export-blocks", "rewrite-step", "verify-served", "export-verifier"]
)
def test_command_line_runs_the_stages(
    materials: Materials, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is called with the steps and the earlier folder that were asked for; none needs Whisper."""
    seen: list[tuple[Materials, CompactRecipe]] = []
    for name in ("teaching_blocks", "verifying_blocks", "exporting_blocks", "rewriting_step"):
        monkeypatch.setattr(block_stages, name, lambda *given: seen.append(given[:2]))
    for name in ("verifying_served", "exporting_verifier"):
        monkeypatch.setattr(served_stages, name, lambda *given: seen.append(given[:2]))
    threads = torch.get_num_threads()
    options = ["--work", materials.work, "--data", materials.data, "--dictionary", materials.dictionary]
    options += ["--whisper", "nowhere", "--earlier", "there", "--block-steps", 5, "--block-verifier-steps", 6]
    options += ["--served-verifier-steps", 7]
    main([stage, *map(str, options)])
    torch.set_num_threads(threads)
    [(given, recipe)] = seen
    assert given.earlier == Path("there")
    assert (recipe.blocks.steps, recipe.block_verifier.schedule.steps) == (5, 6)
    assert recipe.served_verifier.schedule.steps == 7


def test_command_line_rewrites_a_verifier(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in the folder that is named, or else the one that the stage export-blocks wrote."""
    seen: list[Path] = []
    monkeypatch.setattr(served_stages, "rewriting_verifier", lambda _, model: seen.append(model))
    threads = torch.get_num_threads()
    options = ["--work", materials.work, "--data", materials.data, "--dictionary", materials.dictionary]
    options += ["--whisper", "nowhere"]
    for more in ([], ["--model", tmp_path / "named"]):
        main(["rewrite-verifier", *map(str, options + more)])
    torch.set_num_threads(threads)
    assert seen == [materials.work / "block-model", tmp_path / "named"]
