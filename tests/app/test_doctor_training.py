"""What `termcue doctor --training` finds, and what the plain doctor says of training."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from app import doctor, doctor_training
from app.commands.doctor import doctor as command
from training.loop import self_check
from training.loop.trained_models import trained_weights
from training.losses.total import Losses, total_loss

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")


def lacks(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make distributions seem not to be installed."""
    version = importlib.metadata.version

    def asked(name: str) -> str:
        if name in names:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", asked)
    monkeypatch.setattr(doctor_training, "version", asked)


def test_the_extra_is_that_of_the_project() -> None:
    """The distributions that are looked for are those of `pip install '.[train]'`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = {re.split(r"[=<>~\[; ]", line)[0] for line in project["optional-dependencies"]["train"]}
    assert set(doctor.TRAINING) == listed


def test_a_complete_extra_is_told_without_loading_it() -> None:
    """The plain doctor stays fast: one line on training, and torch is not imported."""
    program = (
        "import sys; from app.doctor import training_extra; print(training_extra());"
        "sys.exit(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "status='ok'" in done.stdout
    assert "termcue doctor --training" in done.stdout


def test_an_incomplete_extra_is_no_failure_of_the_plain_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listening needs no training; what is missing and the cure are named."""
    lacks(monkeypatch, "peft", "ijson")
    assert doctor.training_extra() == doctor.Check(
        "training", "absent", "peft, ijson not installed; to train, in a checkout: pip install '.[train]'"
    )


def test_the_whole_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON object a check and a sum; a step of a tiny Qwen2-Audio runs and nothing is left behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    result = CliRunner().invoke(command, ["--training", "--json"], catch_exceptions=False)
    *checks, total = [json.loads(line) for line in result.stdout.splitlines()]
    found = {check["name"]: check for check in checks}
    assert total == {"type": "Doctor", "ok": True, "failed": 0}
    assert result.exit_code == 0
    assert {*doctor.TRAINING, "device cpu", "training on cpu", "model hub", "espeak-ng", "sbatch", "disk"} <= set(found)
    assert "multiplied two matrices; bf16 yes, fp16 no" in found["device cpu"]["detail"]
    assert "a checkpoint of" in found["training on cpu"]["detail"]
    assert not list(tmp_path.iterdir())


def test_without_torch_the_rest_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing distribution fails with its cure, and what needs it is not tried."""
    lacks(monkeypatch, "torch")
    checks = {check.name: check for check in doctor_training.examine_training()}
    assert checks["torch"].status == "failed"
    assert "pip install '.[train]'" in checks["torch"].detail
    assert "training on cpu" not in checks
    assert {"flite", "piper", "sbatch", "disk"} <= set(checks)


def test_training_code_that_does_not_load_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that do not fit each other end no doctor."""
    monkeypatch.setitem(sys.modules, "training.loop.self_check", None)
    monkeypatch.delattr("training.loop.self_check", raising=False)
    checks = {check.name: check for check in doctor_training.examine_training()}
    assert checks["training code"].status == "failed"
    assert "does not load" in checks["training code"].detail


def test_synthesisers_that_are_missing_name_their_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """There or not, and how to get it."""
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/flite" if name == "flite" else None)
    found = {check.name: check for check in doctor_training.synthesisers()}
    assert found["flite"] == doctor.Check("flite", "ok", "/bin/flite")
    assert found["espeak-ng"].status == "absent"
    assert "apt install espeak-ng" in found["espeak-ng"].detail


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Less than a gibibyte where checkpoints go is told before a run meets it."""
    monkeypatch.chdir(tmp_path)
    assert doctor_training.disk().detail.endswith(f"GiB free for {tmp_path / 'data'}")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(9 * 2**30, 9 * 2**30, 2**29))
    check = doctor_training.disk()
    assert (check.status, check.detail[:12]) == ("failed", "0.5 GiB free")


def test_plan_and_training_exclude_each_other() -> None:
    """A usage error."""
    result = CliRunner().invoke(command, ["--training", "--plan", "tiny"])
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_a_wrong_product_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What multiplies wrongly is not called able; a half precision that it lacks is only told."""
    monkeypatch.setattr(self_check, "_multiplies", lambda device, dtype: dtype is torch.float32)
    assert "bf16 no, fp16 no" in self_check.try_device("cpu")
    monkeypatch.setattr(self_check, "_multiplies", lambda device, dtype: False)
    with pytest.raises(self_check.SelfCheckError, match="multiplies wrongly"):
        self_check.try_device("cpu")


def test_a_hub_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE, as huggingface_hub reads it; without it the network is not called good untried."""
    models = {"openai/whisper-base": "no"}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert self_check.hub_state(models).startswith("HF_HUB_OFFLINE is set")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert self_check.hub_state(models).startswith("not tried; in the cache ")


def test_models_are_looked_for_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole where the configuration and every shard are there; without a whole one nothing is called ok."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    names = ("openai/whisper-base", "Qwen/Qwen2-Audio-7B-Instruct")
    assert self_check.cached_models() == dict.fromkeys(names, "no")
    found = doctor_training._hub()
    assert found.status == "absent"
    assert "openai/whisper-base no, Qwen/Qwen2-Audio-7B-Instruct no" in found.detail
    whisper, qwen = (_cached(tmp_path, name) for name in names)
    (whisper / "model.safetensors").touch()
    index = {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    (qwen / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    (qwen / "1.safetensors").touch()
    assert self_check.cached_models() == {names[0]: "yes", names[1]: "in part"}
    assert doctor_training._hub().status == "ok"
    (qwen / "model.safetensors.index.json").write_text("{", "utf-8")
    assert doctor_training._hub().status == "failed"


def _cached(cache: Path, name: str) -> Path:
    """The snapshot of a model in a hub's cache, with its configuration only."""
    model = cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc", "utf-8")
    snapshot = model / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    return snapshot


@pytest.mark.parametrize(
    ("fault", "message"),
    [("loss", "the loss is nan"), ("optimiser", "moved no weight"), ("checkpoint", "came back as another model")],
)
def test_what_computes_wrongly_is_found(
    fault: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that is no number, an optimiser that does nothing, weights that change on the disk."""
    if fault == "loss":

        def broken(*arguments: Any) -> Losses:  # noqa: ANN401 - those of the loss
            losses = total_loss(*arguments)
            return Losses(losses.total * float("nan"), losses.components)

        monkeypatch.setattr(self_check, "total_loss", broken)
    elif fault == "optimiser":
        monkeypatch.setattr("torch.optim.AdamW.step", lambda self: None)
    else:
        monkeypatch.setattr(
            self_check, "trained_weights", lambda *a: {name: value + 1 for name, value in trained_weights(*a).items()}
        )
    with pytest.raises(self_check.SelfCheckError, match=message):
        self_check.try_step("cpu", tmp_path)
