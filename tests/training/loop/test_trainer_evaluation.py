import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

from streaming.errors import SettingError
from tests.training.loop.toy_runs import assert_equal, averaged_config, evaluations, weights_of
from training.loop.checkpoint_files import read_checkpoint
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer


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


def test_no_evaluation_means_no_best(tmp_path: Path) -> None:
    """Without test rows the run has no best epoch and all epochs are done."""
    outcome = Trainer(toy_config(tmp_path), dataclasses.replace(toy_parts(), evaluate=None)).run()
    assert outcome.best is None
    assert outcome.epochs == 3
    assert not (tmp_path / "toy_best.pt").exists()


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
