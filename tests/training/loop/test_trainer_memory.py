import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.loop.toy_runs import weights_of
from training.loop.memory import OutOfMemory
from training.loop.ports import Parts
from training.loop.testing import ROWS, ToyLearner, toy_config, toy_parts
from training.loop.trainer import Trainer
from training.losses.total import Losses
from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs


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
