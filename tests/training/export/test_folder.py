import json
import os
from pathlib import Path

import pytest

from streaming.errors import ModelError
from streaming.model_folder import ModelFolder
from training.export.folder import recalibrate, uncalibrated, write_model_folder

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
