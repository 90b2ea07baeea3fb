import dataclasses
import json
from pathlib import Path

import pytest
import torch

from streaming.errors import SettingError
from tests.training.loop.toy_runs import (
    BreakingBatches,
    Broken,
    assert_equal,
    averaged_config,
    evaluations,
    run_whole,
    weights_of,
)
from training.loop.checkpoint import CheckpointError
from training.loop.checkpoint_paths import resume_folder
from training.loop.config import HardNegativeConfig, OptimiserConfig
from training.loop.testing import ToyNegatives, toy_config, toy_parts
from training.loop.trainer import Trainer


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


def test_a_run_is_made_longer_and_never_shorter(tmp_path: Path) -> None:
    """More epochs go on; fewer are other settings, by which the run might have ended already."""
    config, parts = toy_config(tmp_path), toy_parts()
    with pytest.raises(Broken):
        Trainer(config, dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 2))).run()
    fewer_epochs = dataclasses.replace(config.run, epochs=2)
    fewer_steps = dataclasses.replace(config.run, max_steps=5)
    for run, said in ((fewer_epochs, r"run\.epochs 3 -> 2"), (fewer_steps, r"run\.max_steps None -> 5")):
        with pytest.raises(SettingError, match=said):
            Trainer(dataclasses.replace(config, run=run), toy_parts()).run()
    longer = dataclasses.replace(config, run=dataclasses.replace(config.run, epochs=4))
    assert Trainer(longer, toy_parts()).run().epochs == 4


def test_a_cosine_keeps_its_length(tmp_path: Path) -> None:
    """With a plateau an unfinished run may be made longer; along a cosine every rate would be another."""
    parts = toy_parts()
    with pytest.raises(Broken):
        Trainer(averaged_config(tmp_path), dataclasses.replace(parts, batches=BreakingBatches(parts.batches, 2))).run()
    with pytest.raises(SettingError, match=r"run\.epochs 3 -> 4"):
        Trainer(averaged_config(tmp_path, epochs=4), toy_parts()).run()


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
