"""What the doctor finds, and that it finds it without falling ill itself."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import onnxruntime
import pytest

from app import doctor
from app.cli import run
from app.probe_model import matmul_model
from streaming.model_folder import ModelFolder


def test_probe_model_multiplies() -> None:
    """The model written by hand is valid ONNX and computes the product."""
    session = onnxruntime.InferenceSession(matmul_model(), providers=["CPUExecutionProvider"])
    left, right = np.array([[1, 2], [3, 4]], np.float32), np.array([[0, 1], [1, 1]], np.float32)
    (product,) = session.run(None, {"left": left, "right": right})
    np.testing.assert_array_equal(product, left @ right)


def test_one_owner_of_a_shared_module_is_fine() -> None:
    """A module with one distribution behind it is named with its version."""
    checks = list(doctor.module_owners({"onnxruntime": ["onnxruntime"], "faiss": ["faiss-cpu"]}))
    assert [check.status for check in checks] == ["ok", "ok"]
    assert checks[0].detail == f"onnxruntime {onnxruntime.__version__}"


@pytest.mark.parametrize(
    ("module", "rivals"), [("onnxruntime", ["onnxruntime", "onnxruntime-gpu"]), ("faiss", ["faiss-cpu", "faiss-gpu"])]
)
def test_two_owners_of_one_module_fail_with_the_cure(module: str, rivals: list[str]) -> None:
    """CPU and GPU builds side by side are a failure that names both and the command."""
    found = {check.name: check for check in doctor.module_owners({module: rivals})}
    check = found[f"owner of {module}"]
    assert check.status == "failed"
    assert f"pip uninstall -y {' '.join(rivals)} && pip install {rivals[0]}" in check.detail


def test_missing_module_fails() -> None:
    """A module that no distribution owns is told with what to install."""
    assert {check.status for check in doctor.module_owners({})} == {"failed"}


def test_rival_of_a_package_name_fails() -> None:
    """Another distribution that installs one of our names is told by its name; our own is not a rival."""
    found = {
        c.name: c for c in doctor.package_names({"streaming": ["mosaicml-streaming", "termcue"], "app": ["termcue"]})
    }
    assert found["package streaming"].status == "failed"
    assert "mosaicml-streaming" in found["package streaming"].detail
    assert {found[f"package {name}"].status for name in ("app", "training", "index_builder", "demo")} == {"ok"}


def test_every_claimed_provider_is_tried() -> None:
    """Each provider has a finding, and the CPU really multiplies."""
    found = {check.name: check for check in doctor.providers()}
    assert set(found) == set(onnxruntime.get_available_providers())
    assert found["CPUExecutionProvider"] == doctor.Check("CPUExecutionProvider", "ok", "multiplied two matrices")


def test_provider_that_falls_back_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is claimed but cannot run is a failure, never a silent fallback to the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["ImaginaryExecutionProvider"])
    (check,) = doctor.providers()
    assert check.status == "failed"


@pytest.mark.parametrize(("held", "said"), [(1, "about 1 person who speaks,"), (5, "about 5 people who speak,")])
def test_what_one_core_holds_is_counted(monkeypatch: pytest.MonkeyPatch, held: int, said: str) -> None:
    """One person, several people."""
    stream = SimpleNamespace(nbytes=2_400_000)
    loaded = SimpleNamespace(frames=SimpleNamespace(open=lambda: stream))
    monkeypatch.setattr("app.loaded_model.load_model", lambda folder: loaded)
    monkeypatch.setattr("app.serving.sessions_held", lambda model, threads: held)
    told = doctor._speed_of(cast(ModelFolder, None))
    assert said in told
    assert "2.4 MB of each" in told


def test_missing_model_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`doctor --json` gives one finding a line and a sum, and ends with 1 where something failed."""
    assert run(["doctor", "--json", "--model", str(tmp_path / "none"), "--data-dir", str(tmp_path)]) == 1
    *checks, total = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {check["type"] for check in checks} == {"Check"}
    failed = {check["name"] for check in checks if check["status"] == "failed"}
    assert "model" in failed
    assert total == {"type": "Doctor", "ok": False, "failed": len(failed)}
    assert {"python", "faiss search", "voice detection", "microphone"} <= {check["name"] for check in checks}
