import dataclasses
import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from streaming.errors import SettingError
from training.loop.checkpoint import CheckpointError, unwritable
from training.loop.checkpoint_files import read_checkpoint, resume_folder
from training.loop.config import HardNegativeConfig, OptimiserConfig, TrainConfig
from training.loop.memory import OutOfMemory
from training.loop.ports import Batch, Parts, TrainingError
from training.loop.stopping import Stopped
from training.loop.testing import ROWS, ToyLearner, ToyNegatives, toy_config, toy_parts
from training.loop.trainer import Trainer
from training.losses.total import Losses
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs


class Broken(Exception):
    """Stands for a kill: nothing is saved on the way out."""


@dataclasses.dataclass(frozen=True)
class BreakingBatches:
    """The batches of another, broken off before a step counted over all epochs."""

    inner: object
    at: int
    error: type[BaseException] = Broken

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(self.inner(epoch, skip), epoch * len(self) + skip):  # type: ignore[operator]
            if step == self.at:
                raise self.error
            yield batch


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """What a checkpoint holds."""
    return dict(read_checkpoint(path).weights)


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit by bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def run_whole(folder: Path, **run: object) -> dict[str, torch.Tensor]:
    """The weights after an unbroken run."""
    config = toy_config(folder, **run)
    return weights_of(Trainer(config, toy_parts()).run().checkpoint)


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


@pytest.mark.parametrize("at", [0, 1, 4, 7, 11])
def test_a_broken_run_ends_as_an_unbroken_one(tmp_path: Path, at: int) -> None:
    """Dropout, order, optimiser, schedule and early stopping go on exactly, wherever the run was broken."""
    whole = run_whole(tmp_path / "whole")
    config = toy_config(tmp_path / "broken")
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, at))).run()
    torch.rand(7)  # the new process has other random numbers
    outcome = Trainer(config, toy_parts()).run()
    assert_equal(weights_of(outcome.checkpoint), whole)
    assert_equal(weights_of(tmp_path / "broken/toy_best.pt"), weights_of(tmp_path / "whole/toy_best.pt"))
    rows = [json.loads(line)["step"] for line in (tmp_path / "broken/logs/toy_full.jsonl").read_text().splitlines()]
    assert rows == sorted(rows)


def test_a_break_with_micro_batches_is_exact_too(tmp_path: Path) -> None:
    """Cached gradients draw other random numbers; the state remembers how the batch was cut."""
    whole = run_whole(tmp_path / "whole", micro_batch=4)
    config = toy_config(tmp_path / "broken", micro_batch=4)
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 5))).run()
    assert_equal(weights_of(Trainer(config, toy_parts()).run().checkpoint), whole)


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer
folder, number = Path(sys.argv[1]), int(sys.argv[2])
def progress(done, total):
    if done == 6 and number:
        os.kill(os.getpid(), number)
Trainer(toy_config(folder), toy_parts(), progress=progress).run()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_ends_as_an_unbroken_one(tmp_path: Path, number: signal.Signals) -> None:
    """A real kill in the sixth step; the second process finishes with the same bits."""
    whole = run_whole(tmp_path / "whole")
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "killed"), str(int(number))],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode != 0
    assert not (tmp_path / "killed/toy_full.pt").exists()
    saved = 5 if number == signal.SIGKILL else 6
    assert (tmp_path / "killed/toy_full.resume/LATEST").read_text().split() == [str(saved), "1"]
    outcome = Trainer(toy_config(tmp_path / "killed"), toy_parts()).run()
    assert_equal(weights_of(outcome.checkpoint), whole)


def test_a_signal_saves_and_stops(tmp_path: Path) -> None:
    """SIGINT and SIGTERM end the step at work, save it, and leave the usual handlers behind."""
    before = signal.getsignal(signal.SIGINT)
    config = toy_config(tmp_path, checkpoint_every_s=1e9)
    stop = Trainer(
        config,
        toy_parts(),
        progress=lambda done, total: os.kill(os.getpid(), signal.SIGINT) if done == 3 else None,
    )
    with pytest.raises(Stopped, match="step 3"):
        stop.run()
    assert signal.getsignal(signal.SIGINT) is before
    whole = run_whole(tmp_path / "whole")
    assert_equal(weights_of(Trainer(config, toy_parts()).run().checkpoint), whole)


def test_other_settings_do_not_go_on(tmp_path: Path) -> None:
    """An unfinished run is not continued with other settings: the message names them; --fresh begins anew."""
    config = toy_config(tmp_path)
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 2))).run()
    other = dataclasses.replace(config, optimiser=OptimiserConfig(rate=5e-3, warmup_steps=3))
    with pytest.raises(SettingError, match=r"optimiser.rate 0.001 -> 0.005.*--fresh"):
        Trainer(other, toy_parts()).run()
    fresh = dataclasses.replace(other, run=dataclasses.replace(other.run, resume=False, epochs=1))
    assert Trainer(fresh, toy_parts()).run().steps == 4


def test_cached_gradients_train_as_the_whole_batch_does(tmp_path: Path) -> None:
    """A micro-batch changes memory and not the result, dropout aside."""
    results = []
    for micro in (None, 4):
        config = toy_config(tmp_path / str(micro), micro_batch=micro)
        results.append(weights_of(Trainer(config, toy_parts(dropout=0.0)).run().checkpoint))
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name], atol=1e-5, rtol=1e-4)


class Memory(nn.Module):
    """A device on which so many rows fit."""

    def __init__(self, inner: ToyLearner, rows: int) -> None:
        super().__init__()
        self.inner, self.rows, self.seen = inner, rows, list[int]()

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return self.inner.parameter_groups()

    def forward(self, inputs: RetrieverInputs) -> RetrieverOutputs:
        self.seen.append(len(inputs.frames))
        if self.training and len(inputs.frames) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        outputs: RetrieverOutputs = self.inner(inputs)
        return outputs


def with_memory(rows: int) -> Parts:
    """A run on a device with so much memory."""
    parts = toy_parts(dropout=0.0)
    assert isinstance(parts.model, ToyLearner)
    return dataclasses.replace(parts, model=Memory(parts.model, rows))


def test_a_step_that_does_not_fit_is_done_in_smaller_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same batch again with half the rows until it fits; the weights are those of a large device."""
    config = toy_config(tmp_path / "small", keep_epochs=False)
    parts = with_memory(2)
    outcome = Trainer(config, parts).run()
    assert outcome.steps == 12
    assert isinstance(parts.model, Memory)
    assert parts.model.seen[:2] == [ROWS, 3]
    assert "--micro-batch 3 should fit" in caplog.text
    large = weights_of(Trainer(toy_config(tmp_path / "large"), with_memory(99)).run().checkpoint)
    for name, value in weights_of(outcome.checkpoint).items():
        torch.testing.assert_close(value, large[name], atol=1e-5, rtol=1e-4)


def test_memory_advice_without_a_retry(tmp_path: Path) -> None:
    """Where retries are off, or one row is too much, the run ends with what to do."""
    config = toy_config(tmp_path, auto_micro_batch=False)
    with pytest.raises(OutOfMemory, match="--micro-batch 3 should fit"):
        Trainer(config, with_memory(2)).run()
    with pytest.raises(OutOfMemory, match="the least there is"):
        Trainer(toy_config(tmp_path), with_memory(0)).run()


def test_other_errors_are_not_taken_for_lack_of_memory(tmp_path: Path) -> None:
    """A fault of the model is raised as it is."""
    parts = toy_parts()

    def fail(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Trainer(toy_config(tmp_path), dataclasses.replace(parts, objective=fail)).run()


def test_a_full_disk_leaves_the_last_state_whole(tmp_path: Path) -> None:
    """When a checkpoint cannot be written the sentence says so, and the run goes on from the one before."""
    whole = run_whole(tmp_path / "whole")
    config = toy_config(tmp_path / "full")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done: int, total: int) -> None:
        if done == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(CheckpointError, match=r"cannot save .*step5.*Make room"):
            Trainer(config, toy_parts(), progress=fill).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "full/toy_full.resume/LATEST").read_text().split() == ["4", "1"]
    assert not list((tmp_path / "full").rglob(".staging*"))
    assert_equal(weights_of(Trainer(config, toy_parts()).run().checkpoint), whole)


def test_a_run_that_gets_no_better_ends_early(tmp_path: Path) -> None:
    """After `early_stop_patience` epochs without a better recall@10; the rate was lowered before."""
    parts = dataclasses.replace(toy_parts(), evaluate=lambda model, epoch: {"recall@10": 0.5 if epoch == 2 else 0.4})
    config = toy_config(tmp_path, epochs=20, early_stop_patience=3)
    outcome = Trainer(config, parts).run()
    assert (outcome.epochs, outcome.ended) == (5, "early")
    assert read_checkpoint(tmp_path / "toy_best.pt").epoch == 2
    rows = [json.loads(line) for line in (tmp_path / "logs/toy_full.jsonl").read_text().splitlines()]
    rates = [row["rate_new"] for row in rows if row["kind"] == "step"]
    assert rates[-1] == pytest.approx(0.5 * max(rates))


def test_max_steps_ends_within_an_epoch_and_is_judged(tmp_path: Path) -> None:
    """The last, partial epoch is evaluated too."""
    outcome = Trainer(toy_config(tmp_path, max_steps=6), toy_parts()).run()
    assert (outcome.steps, outcome.ended) == (6, "steps")
    assert outcome.figures["recall@10"] > 0


def test_new_modules_learn_faster(tmp_path: Path) -> None:
    """The towers have the rate, new modules `projection_factor` times it; biases and the temperature do not decay."""
    run = Trainer(toy_config(tmp_path), toy_parts())
    groups = run._optimiser.param_groups
    assert {(g["name"], g["lr"]) for g in groups} == {("towers", 1e-3), ("new", 1e-2)}
    assert {g["weight_decay"] for g in groups if all(p.ndim < 2 for p in g["params"])} == {0.0}
    assert sum(len(g["params"]) for g in groups) == len(list(run._model.parameters()))


def test_negatives_are_renewed_on_schedule_and_go_on(tmp_path: Path) -> None:
    """Every `refresh_steps`, with the weights of then; a resumed run has those of its state."""
    config = dataclasses.replace(toy_config(tmp_path), hard_negatives=HardNegativeConfig(refresh_steps=5))
    parts = toy_parts()
    assert isinstance(parts.negatives, ToyNegatives)
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 8))).run()
    assert parts.negatives.renewed == 2
    again = toy_parts()
    assert isinstance(again.negatives, ToyNegatives)
    Trainer(config, again).run()
    assert again.negatives.renewed == 3


def test_a_gradient_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    """The weights are not ruined: the state before the step is what is left."""
    parts = toy_parts()
    objective = parts.objective

    def nan_at_six(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        losses = objective(outputs, labels)
        spoilt = steps.pop(0)
        return dataclasses.replace(losses, total=losses.total * float("nan")) if spoilt else losses

    steps = [False] * 6 + [True]
    config = toy_config(tmp_path, epochs=1, checkpoint_every_s=0.0)
    parts = dataclasses.replace(toy_parts(steps=9), objective=nan_at_six, evaluate=None)
    with pytest.raises(TrainingError, match="step 7 is nan"):
        Trainer(config, parts).run()
    assert (tmp_path / "toy_full.resume/LATEST").read_text().split() == ["6", "1"]


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


def test_no_evaluation_means_no_best(tmp_path: Path) -> None:
    """Without test rows the run has no best epoch and all epochs are done."""
    outcome = Trainer(toy_config(tmp_path), dataclasses.replace(toy_parts(), evaluate=None)).run()
    assert outcome.best is None
    assert outcome.epochs == 3
    assert not (tmp_path / "toy_best.pt").exists()


AVERAGED = {"average": 0.9, "evaluate_every_steps": 3, "judged_by": "loss", "early_stop_patience": 0}


def averaged_config(folder: Path, **run: object) -> TrainConfig:
    """Averaged weights, a cosine, and evaluations within an epoch."""
    config = toy_config(folder, **{**AVERAGED, **run})
    return dataclasses.replace(config, optimiser=dataclasses.replace(config.optimiser, schedule="cosine"))


def evaluations(folder: Path) -> list[dict[str, float]]:
    """The rows of evaluations in the log of a run."""
    rows = [json.loads(line) for line in (folder / "logs/toy_full.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "evaluation"]


@pytest.mark.parametrize("at", [0, 3, 5, 9])
def test_an_averaged_run_goes_on_exactly(tmp_path: Path, at: int) -> None:
    """Average, cosine and evaluations within an epoch are those of an unbroken run, wherever it was broken."""
    whole = weights_of(Trainer(averaged_config(tmp_path / "whole"), toy_parts()).run().checkpoint)
    config, parts = averaged_config(tmp_path / "broken"), toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, at))).run()
    torch.rand(7)
    assert_equal(weights_of(Trainer(config, toy_parts()).run().checkpoint), whole)
    assert_equal(weights_of(tmp_path / "broken/toy_best.pt"), weights_of(tmp_path / "whole/toy_best.pt"))
    assert evaluations(tmp_path / "broken") == evaluations(tmp_path / "whole")


def test_the_average_is_what_is_judged_and_saved(tmp_path: Path) -> None:
    """All checkpoints hold the average, of which the figures are; the weights themselves train as without it."""
    plain = averaged_config(tmp_path / "plain", average=0.0)
    whole = weights_of(Trainer(plain, toy_parts()).run().checkpoint)
    parts = toy_parts()
    config = averaged_config(tmp_path / "averaged")
    saved = weights_of(Trainer(config, parts).run().checkpoint)
    live = {name: parameter.detach() for name, parameter in parts.model.named_parameters()}
    assert_equal(live, whole)
    assert not all(torch.equal(saved[name], whole[name]) for name in saved)
    assert_equal(weights_of(tmp_path / "averaged/toy_epoch3.pt"), saved)
    parts.model.load_state_dict(saved)
    with torch.no_grad():
        assert parts.evaluate is not None
        figures = parts.evaluate(parts.model.eval(), 3)
    assert figures["loss"] == pytest.approx(evaluations(tmp_path / "averaged")[-1]["loss"])


def test_a_run_is_judged_every_so_many_steps_and_after_each_epoch(tmp_path: Path) -> None:
    """Four steps an epoch and an evaluation every three: never twice for one step; the least loss is the best."""
    outcome = Trainer(averaged_config(tmp_path), toy_parts()).run()
    rows = evaluations(tmp_path)
    assert [(row["step"], row["epoch"]) for row in rows] == [(3, 1), (4, 1), (6, 2), (8, 2), (9, 3), (12, 3)]
    assert outcome.best is not None
    best = min(rows, key=lambda row: row["loss"])
    kept = read_checkpoint(outcome.best)
    assert (kept.step, kept.figures["loss"]) == (best["step"], best["loss"])


def test_a_run_is_judged_every_so_many_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock within an epoch; the weights do not change by it."""
    whole = weights_of(Trainer(averaged_config(tmp_path / "whole"), toy_parts()).run().checkpoint)
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    config = averaged_config(tmp_path / "timed", evaluate_every_steps=0, evaluate_every_s=5.0)
    assert_equal(weights_of(Trainer(config, toy_parts()).run().checkpoint), whole)
    steps = [row["step"] for row in evaluations(tmp_path / "timed")]
    assert {4, 8, 12} < set(steps)
    assert steps == sorted(set(steps))


def test_a_run_can_end_early_within_an_epoch(tmp_path: Path) -> None:
    """Patience counts evaluations, those within an epoch too."""
    parts = dataclasses.replace(toy_parts(), evaluate=lambda model, epoch: {"loss": 1.0})
    outcome = Trainer(averaged_config(tmp_path, early_stop_patience=2, epochs=9), parts).run()
    assert (outcome.steps, outcome.ended) == (6, "early")
    assert read_checkpoint(tmp_path / "toy_best.pt").step == 3


def test_a_figure_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A run cannot be judged by what its evaluation does not give."""
    with pytest.raises(SettingError, match=r"'mrr'.*recall@10, loss.*run.judged_by"):
        Trainer(averaged_config(tmp_path, judged_by="mrr"), toy_parts()).run()


def test_a_cosine_keeps_its_length(tmp_path: Path) -> None:
    """With a plateau an unfinished run may be made longer; along a cosine every rate would be another."""
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(averaged_config(tmp_path), dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 2))).run()
    with pytest.raises(SettingError, match=r"run\.epochs 3 -> 4"):
        Trainer(averaged_config(tmp_path, epochs=4), toy_parts()).run()


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


def test_biases_decay_only_if_asked_for(tmp_path: Path) -> None:
    """`decay_all` puts one decay on everything, and `second_moment` is AdamW's."""
    config = toy_config(tmp_path)
    config = dataclasses.replace(config, optimiser=OptimiserConfig(decay_all=True, second_moment=0.98))
    groups = Trainer(config, toy_parts())._optimiser.param_groups
    assert {(group["weight_decay"], group["betas"]) for group in groups} == {(0.01, (0.9, 0.98))}


@pytest.mark.parametrize("name", ["LATEST", "step"])
@pytest.mark.parametrize("content", [b"", b"\x93\x00random"])
def test_a_damaged_state_is_told_in_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    """Of the file that names the step and of the state itself; no text of pickle or torch."""
    config = toy_config(tmp_path)
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 2))).run()
    (file,) = resume_folder(config.run).glob(f"{name}*")
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is missing or damaged; give --fresh to begin anew\.$"):
        Trainer(config, toy_parts()).run()


def test_a_disk_that_is_full_at_the_end_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is saved before the last checkpoint is written, and the same command writes only that."""
    config = toy_config(tmp_path, epochs=1, checkpoint_every_s=1e9, keep_epochs=False)
    with monkeypatch.context() as patch:
        patch.setattr("training.loop.trainer.write_checkpoint", lambda path, checkpoint: refuse(path))
        with pytest.raises(CheckpointError, match="goes on"):
            Trainer(config, dataclasses.replace(toy_parts(), evaluate=None)).run()
    parts = dataclasses.replace(toy_parts(), evaluate=None)
    parts = dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 0))
    assert Trainer(config, parts).run().steps == 4


def refuse(path: Path) -> None:
    """A full disk."""
    raise unwritable(path, OSError(errno.ENOSPC, "No space left on device"))


def test_a_stop_is_answered_at_once_and_nothing_is_judged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Standard error says that the step ends; the evaluation that was due waits for the run that goes on."""
    config = toy_config(tmp_path, max_steps=3, evaluate_every_steps=3)
    judged: list[int] = []

    def evaluate(model: nn.Module, epoch: int) -> dict[str, float]:
        judged.append(epoch)
        return {"recall@10": 0.5}

    parts = dataclasses.replace(toy_parts(), evaluate=evaluate)
    progress = lambda done, total: os.kill(os.getpid(), signal.SIGINT) if done == 3 else None  # noqa: E731
    with pytest.raises(Stopped):
        Trainer(config, parts, progress=progress).run()
    assert "stopping after this step; a second one stops at once" in capfd.readouterr().err
    assert not judged
    Trainer(config, dataclasses.replace(toy_parts(), evaluate=evaluate)).run()
    assert judged == [1]


def test_a_gradient_that_is_no_number_names_no_state_that_is_not_there(tmp_path: Path) -> None:
    """In the first step nothing is saved yet."""
    parts = toy_parts()

    def nan(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        losses = parts.objective(outputs, labels)
        return dataclasses.replace(losses, total=losses.total * float("nan"))

    with pytest.raises(TrainingError, match="No state was saved"):
        Trainer(toy_config(tmp_path, checkpoint_every_s=1e9), dataclasses.replace(parts, objective=nan)).run()
