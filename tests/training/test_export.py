import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from streaming.errors import ModelError
from streaming.model_folder import ModelFolder
from training.export import (
    AudioGraph,
    export_graph,
    parity,
    quantise,
    run_graph,
    unfold_convolutions,
    write_model_folder,
)
from training.export_compact import recalibrate, uncalibrated
from training.g2p import G2pConfig, GraphemeToPhoneme, letter_ids
from training.heads import AlignmentHead, CharacterTower, HeadConfig
from training.towers import split_whisper_encoder
from training.train_spans import letters_of

Tiny = tuple[Path, WhisperEncoder]
OUTPUTS = ["characters", "phonemes", "frames"]
SPEC = {
    "name": "tiny",
    "context_samples": 48_000,
    "frame_samples": 320,
    "feature_width": 32,
    "dim": 8,
    "licence": "Apache-2.0",
    "provenance": [{"name": "noise"}],
    "calibration": uncalibrated().to_json(),
}


@pytest.fixture
def graph(tiny_whisper: Tiny) -> AudioGraph:
    """The tiny encoder under a small head."""
    lower, upper = split_whisper_encoder(tiny_whisper[0], 1)
    torch.manual_seed(0)
    return AudioGraph(lower, upper, AlignmentHead(HeadConfig(32, 32))).eval()


@pytest.fixture
def mel() -> torch.Tensor:
    """Features of two contexts of 1.2 s: float32[2, 80, 120]."""
    torch.manual_seed(1)
    return torch.randn(2, 80, 120) * 0.5


def test_graphs_give_what_torch_gives(graph: AudioGraph, mel: torch.Tensor, tmp_path: Path) -> None:
    """In fp32 the exported graph differs by less than 1e-4, in int8 by little, and int8 is smaller."""
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export_graph(graph, mel[:1], full, "mel", OUTPUTS, {name: {0: "n"} for name in ("mel", *OUTPUTS)})
    quantise(full, small)
    with torch.no_grad():
        reference = [out.numpy() for out in graph(mel)]
    exact, close = (parity(reference, run_graph(path, "mel", mel.numpy())) for path in (full, small))
    assert exact.largest < 1e-4
    assert exact.same_best == 1.0
    assert close.largest < 0.05
    assert close.same_best > 0.9
    assert small.stat().st_size < full.stat().st_size


@pytest.mark.parametrize("lengths", [("term",), ("a", "much longer text than the example"), ("x",) * 5])
def test_text_graph_takes_any_batch_and_length(lengths: tuple[str, ...], tmp_path: Path) -> None:
    """A graph traced on one batch is right for batches of other sizes and lengths."""
    torch.manual_seed(0)
    tower = CharacterTower(8, width=16, layers=2, heads=2).eval()
    axes = {"letters": {0: "n", 1: "l"}, "vectors": {0: "n"}}
    export_graph(tower, letters_of(["glossary", "ion"]), tmp_path / "text.onnx", "letters", ["vectors"], axes)
    letters = letters_of(lengths)
    (found,) = run_graph(tmp_path / "text.onnx", "letters", letters.numpy())
    np.testing.assert_allclose(found, tower(letters).detach().numpy(), atol=1e-5)


def test_pronouncing_graph_takes_any_batch_and_length(tmp_path: Path) -> None:
    """The same for the grapheme-to-phoneme model."""
    torch.manual_seed(0)
    model = GraphemeToPhoneme(G2pConfig(width=16, layers=1, heads=2)).eval()
    axes = {"letters": {0: "n", 1: "l"}, "phonemes": {0: "n", 1: "s"}}
    export_graph(model, letter_ids(["glossary", "ion"]), tmp_path / "g2p.onnx", "letters", ["phonemes"], axes)
    letters = letter_ids(["a", "antidisestablishmentarianism", "it"])
    (found,) = run_graph(tmp_path / "g2p.onnx", "letters", letters.numpy())
    np.testing.assert_allclose(found, model(letters).detach().numpy(), atol=1e-4)


def test_parity_is_of_probabilities() -> None:
    """Differences count between probabilities, the best symbol in each frame; features are left aside."""
    a = np.log(np.array([[[0.9, 0.1], [0.4, 0.6]]], np.float32))
    b = np.log(np.array([[[0.8, 0.2], [0.6, 0.4]]], np.float32))
    found = parity([a, np.zeros(1, np.float32)], [b, np.full(1, 9.0, np.float32)])
    assert [found.largest, found.mean, found.same_best] == pytest.approx([0.2, 0.15, 0.5])


def test_written_folder_loads(tmp_path: Path) -> None:
    """A folder has its files, given as bytes or as paths, under hashes that the loader checks."""
    (tmp_path / "source").write_bytes(b"from a path")
    write_model_folder(tmp_path / "model", {"a.onnx": b"bytes", "b.onnx": tmp_path / "source"}, SPEC)
    folder = ModelFolder.load(tmp_path / "model")
    assert folder.contents == {"a.onnx": b"bytes", "b.onnx": b"from a path"}
    assert folder.spec.name == "tiny"
    assert {p.name for p in (tmp_path / "model").iterdir()} == {"a.onnx", "b.onnx", "spec.json"}
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755


def test_a_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    """After a second export only its files are there, and nothing lies beside."""
    write_model_folder(tmp_path / "model", {"old.onnx": b"1"}, SPEC)
    before = ModelFolder.load(tmp_path / "model").encoder_id
    write_model_folder(tmp_path / "model", {"new.onnx": b"2"}, SPEC)
    folder = ModelFolder.load(tmp_path / "model")
    assert set(folder.contents) == {"new.onnx"}
    assert folder.encoder_id != before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    """A file that cannot be read ends the export; the folder of before is whole and nothing lies beside."""
    write_model_folder(tmp_path / "model", {"old.onnx": b"1"}, SPEC)
    with pytest.raises(FileNotFoundError):
        write_model_folder(tmp_path / "model", {"new.onnx": b"2", "z.onnx": tmp_path / "absent"}, SPEC)
    assert set(ModelFolder.load(tmp_path / "model").contents) == {"old.onnx"}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_failure_of_the_last_rename_restores_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses the new name, the old folder takes it back."""
    write_model_folder(tmp_path / "model", {"old.onnx": b"1"}, SPEC)
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if Path(target).name == "model" and "-old" not in Path(source).name:
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_model_folder(tmp_path / "model", {"new.onnx": b"2"}, SPEC)
    assert set(ModelFolder.load(tmp_path / "model").contents) == {"old.onnx"}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["a.onnx", "spec.json"])
def test_a_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    """One changed byte in any file is found when the folder is loaded."""
    write_model_folder(tmp_path / "model", {"a.onnx": b"bytes"}, SPEC)
    path = tmp_path / "model" / name
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"y", b"x", 1) if name == "a.onnx" else raw.replace(b"Apache-2.0", b"Apache-3.0"))
    with pytest.raises(ModelError, match=r"damaged|changed after it was written"):
        ModelFolder.load(tmp_path / "model")


def test_recalibration_keeps_graphs_and_id(tmp_path: Path) -> None:
    """A new calibration changes nothing that an index depends on."""
    write_model_folder(tmp_path / "model", {"a.onnx": b"bytes"}, SPEC)
    before = ModelFolder.load(tmp_path / "model")
    calibration = uncalibrated()
    calibration.weights[3] = 1.5
    recalibrate(tmp_path / "model", calibration, {"streams": ["one"]})
    after = ModelFolder.load(tmp_path / "model")
    assert after.encoder_id == before.encoder_id
    assert after.contents == before.contents
    assert after.calibration.weights[3] == 1.5
    spec = json.loads((tmp_path / "model" / "spec.json").read_text("utf-8"))
    assert spec["calibration_report"] == {"streams": ["one"]}


@pytest.mark.parametrize(("taps", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 0)])
def test_unfolded_convolutions_are_the_same(taps: int, stride: int, padding: int) -> None:
    """As a matrix product a convolution gives the same numbers; the module that was given keeps its own."""
    torch.manual_seed(taps)
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 6, taps, stride, padding, bias=taps != 1), torch.nn.GELU())
    x = torch.randn(2, 4, 20)
    unfolded = unfold_convolutions(module)
    torch.testing.assert_close(unfolded(x), module(x), atol=1e-5, rtol=1e-4)
    assert isinstance(module[0], torch.nn.Conv1d)
    assert not any(isinstance(part, torch.nn.Conv1d) for part in unfolded.modules())
