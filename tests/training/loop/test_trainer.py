import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from streaming.errors import SettingError
from tests.training.loop.toy_runs import assert_equal, averaged_config, run_whole, weights_of
from training.loop.checkpoint_paths import resume_folder
from training.loop.config import OptimiserConfig
from training.loop.ports import Batch, Parts
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer
from training.losses.total import Losses


def test_a_run_learns_and_says_so(tmp_path: Path) -> None:
    """The loss falls; the last, best and epoch checkpoints and both logs are there, with every loss component."""
    config = toy_config(tmp_path, epochs=12)
    outcome = Trainer(config, toy_parts(dropout=0.0)).run()
    assert (outcome.steps, outcome.epochs, outcome.ended) == (48, 12, "epochs")
    rows = [json.loads(line) for line in (tmp_path / "logs/toy_full.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "step"]
    assert steps[-1]["loss"] < 0.8 * steps[0]["loss"]
    components = {"audio_text", "audio_term", "no_term", "hard_negative", "alignment", "loss"}
    assert components | {"rate_towers", "rate_new", "examples_per_s", "gradient_norm", "epoch"} <= steps[0].keys()
    assert len([row for row in rows if row["kind"] == "evaluation"]) == 12
    assert list((tmp_path / "logs/tensorboard/toy_full").glob("events*"))
    assert outcome.best == tmp_path / "toy_best.pt"
    assert outcome.best.exists()
    assert len(list(tmp_path.glob("toy_epoch*.pt"))) == 12
    assert not resume_folder(config.run).exists()


def test_new_modules_learn_faster(tmp_path: Path) -> None:
    """The towers have the rate, new modules `projection_factor` times it; biases and the temperature do not decay."""
    run = Trainer(toy_config(tmp_path), toy_parts())
    groups = run._steps.optimiser.param_groups
    assert {(g["name"], g["lr"]) for g in groups} == {("towers", 1e-3), ("new", 1e-2)}
    assert {g["weight_decay"] for g in groups if all(p.ndim < 2 for p in g["params"])} == {0.0}
    assert sum(len(g["params"]) for g in groups) == len(list(run._steps.model.parameters()))


def test_biases_decay_only_if_asked_for(tmp_path: Path) -> None:
    """`decay_all` puts one decay on everything, and `second_moment` is AdamW's."""
    config = toy_config(tmp_path)
    config = dataclasses.replace(config, optimiser=OptimiserConfig(decay_all=True, second_moment=0.98))
    groups = Trainer(config, toy_parts())._steps.optimiser.param_groups
    assert {(group["weight_decay"], group["betas"]) for group in groups} == {(0.01, (0.9, 0.98))}


class Line(nn.Module):
    """y = w x: a model that is no retriever, on inputs that cannot be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"new": [self.weight]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x


class LineBatches:
    """x and 3 x."""

    def __len__(self) -> int:
        return 100

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step in range(skip, len(self)):
            x = torch.linspace(-1, 1, 8) + step % 3
            yield x, 3 * x


def test_any_model_is_trained(tmp_path: Path) -> None:
    """Inputs need a length and a device, outputs only an objective; each batch is passed whole."""

    def squares(outputs: torch.Tensor, labels: torch.Tensor) -> Losses:
        return Losses((outputs - labels).square().mean(), {})

    config = averaged_config(tmp_path, epochs=1, average=0.0)
    config = dataclasses.replace(config, optimiser=OptimiserConfig(rate=0.1, warmup_steps=1, schedule="cosine"))
    outcome = Trainer(config, Parts(Line(), LineBatches(), squares)).run()
    assert float(weights_of(outcome.checkpoint)["weight"]) == pytest.approx(3.0, abs=0.05)


def test_bf16_runs_and_its_weights_stay_whole(tmp_path: Path) -> None:
    """The forward pass is in bf16, weights and losses are not."""
    outcome = Trainer(toy_config(tmp_path, precision="bf16", epochs=1), toy_parts()).run()
    assert {value.dtype for value in weights_of(outcome.checkpoint).values()} == {torch.float32}


def test_fp16_needs_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU the sentence names bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="--bf16"):
        Trainer(toy_config(tmp_path, precision="fp16"), toy_parts())


def test_single_and_full_runs_never_replace_each_other(tmp_path: Path) -> None:
    """Default names differ; where names are given, a run refuses to write over one of the other kind."""
    full = toy_config(tmp_path, epochs=1)
    Trainer(full, toy_parts()).run()
    single = dataclasses.replace(
        full,
        data=dataclasses.replace(full.data, single_slice=True),
        run=dataclasses.replace(full.run, save_path=tmp_path / "toy_single.pt"),
    )
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")}
    Trainer(single, toy_parts()).run()
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert {path.name for path in tmp_path.glob("*.pt")} - set(before) == {
        "toy_single.pt",
        "toy_single_best.pt",
        "toy_single_epoch1.pt",
    }
    clash = dataclasses.replace(single, run=dataclasses.replace(single.run, best_model=tmp_path / "toy_best.pt"))
    with pytest.raises(SettingError, match=r"toy_best.pt is the checkpoint of a full run"):
        Trainer(clash, toy_parts()).run()


def test_a_folder_of_safetensors_serves_as_well(tmp_path: Path) -> None:
    """`--save-path folder` writes folders with the same weights as the files."""
    whole = run_whole(tmp_path / "file")
    config = toy_config(tmp_path / "folder")
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, save_path=tmp_path / "folder/toy_full"))
    outcome = Trainer(config, toy_parts()).run()
    assert sorted(path.name for path in outcome.checkpoint.iterdir()) == ["config.json", "model.safetensors"]
    assert outcome.best == tmp_path / "folder/toy_best"
    assert_equal(weights_of(outcome.checkpoint), whole)
