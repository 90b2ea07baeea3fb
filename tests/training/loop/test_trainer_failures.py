import dataclasses
import errno
import resource
from pathlib import Path

import pytest

from tests.training.loop.toy_runs import BreakingBatches, assert_equal, run_whole, weights_of
from training.loop.checkpoint import CheckpointError, unwritable
from training.loop.ports import TrainingError
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer
from training.losses.total import Losses
from training.models.interfaces import RetrieverLabels, RetrieverOutputs


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


def refuse(path: Path) -> None:
    """A full disk."""
    raise unwritable(path, OSError(errno.ENOSPC, "No space left on device"))


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


def test_a_gradient_that_is_no_number_names_no_state_that_is_not_there(tmp_path: Path) -> None:
    """In the first step nothing is saved yet."""
    parts = toy_parts()

    def nan(outputs: RetrieverOutputs, labels: RetrieverLabels) -> Losses:
        losses = parts.objective(outputs, labels)
        return dataclasses.replace(losses, total=losses.total * float("nan"))

    with pytest.raises(TrainingError, match="No state was saved"):
        Trainer(toy_config(tmp_path, checkpoint_every_s=1e9), dataclasses.replace(parts, objective=nan)).run()
