import json
import logging
import os
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
import torch

import training.loop.__main__ as rank_program
from streaming.errors import SettingError, TermCueError
from training.loop import launch
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.checkpoint_paths import best_path
from training.loop.config import RunConfig, TrainConfig
from training.loop.ports import Outcome, Progress
from training.loop.settings import replaced, written
from training.loop.testing import toy_config

OUTCOME = Outcome(Path("a.pt"), None, 3, 1, {"recall@10": 0.5}, "steps")


def test_outcomes_come_back_from_json() -> None:
    """What other processes report is what they had."""
    for outcome in (OUTCOME, Outcome(Path("a.pt"), Path("b.pt"), 3, 1, {}, "early")):
        assert launch.outcome_from(json.loads(json.dumps(launch.outcome_json(outcome)))) == outcome


def test_only_the_gpus_asked_for_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers count those visible before; one that is not there is refused."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    launch.choose_gpus(RunConfig())
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,7"
    launch.choose_gpus(RunConfig(gpu_ids=(0, 2)))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"
    with pytest.raises(SettingError, match="no GPU 3 is found; there are 3"):
        launch.choose_gpus(RunConfig(gpu_ids=(3,)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SettingError, match="there is none"):
        launch.choose_gpus(RunConfig(gpu_ids=(0, 1)))


def test_all_gpus_are_used_and_a_launched_rank_starts_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One process for each GPU or as many as asked for; one where torchrun has started this one already."""
    counts: list[int] = []

    def train_in(config: TrainConfig, processes: int) -> Outcome:
        counts.append(processes)
        return OUTCOME

    monkeypatch.setattr(launch, "train_here", lambda config, progress: train_in(config, 1))
    monkeypatch.setattr(launch, "_train_in_processes", train_in)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    config = toy_config(tmp_path)
    for changes in ({}, {"run.gpu_ids": (0, 1)}, {"run.processes": 3}, {"run.gpu_ids": (2,)}):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        launch.train(replaced(config, changes))
    monkeypatch.setenv("LOCAL_RANK", "1")
    launch.train(config)
    assert counts == [4, 2, 3, 1, 1]


def run_rank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: object) -> int:
    """`python -m training.loop` with another training in place."""
    monkeypatch.setattr(rank_program, "train", run)
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(written(toy_config(tmp_path))))
    return rank_program.main([str(file), "--outcome", str(tmp_path / "outcome.json")])


def test_a_rank_reports_its_outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first rank writes it, others do not; exit codes are those of the command."""
    seen: list[TrainConfig] = []

    def run(config: TrainConfig) -> Outcome:
        seen.append(config)
        return OUTCOME

    assert run_rank(monkeypatch, tmp_path, run) == 0
    assert seen == [toy_config(tmp_path)]
    assert launch.outcome_from(json.loads((tmp_path / "outcome.json").read_text())) == OUTCOME
    (tmp_path / "outcome.json").unlink()
    monkeypatch.setenv("RANK", "1")
    assert run_rank(monkeypatch, tmp_path, lambda config: OUTCOME) == 0
    assert not (tmp_path / "outcome.json").exists()


@pytest.mark.parametrize(
    ("error", "code"), [(SettingError("wrong"), 2), (TermCueError("failed"), 1), (KeyboardInterrupt(), 130)]
)
def test_a_rank_fails_with_the_commands_exit_codes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, code: int
) -> None:
    """2 wrong settings, 1 failed, 130 stopped."""

    def fail(config: TrainConfig) -> Outcome:
        raise error

    assert run_rank(monkeypatch, tmp_path, fail) == code


def test_output_goes_to_the_documented_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """logs/qwen2_train_term_level_*.out and .err, written by the first rank only."""

    def run(config: TrainConfig, progress: Progress | None) -> Outcome:
        logging.getLogger("training.loop.trainer").info("a step")
        logging.getLogger("training.loop.trainer").warning("a row skipped")
        return OUTCOME

    monkeypatch.setitem(sys.modules, "training.loop.assemble", cast(ModuleType, SimpleNamespace(run_training=run)))
    config = toy_config(tmp_path)
    launch.train_here(config)
    (out,) = (tmp_path / "logs").glob("qwen2_train_term_level_*.out")
    (err,) = (tmp_path / "logs").glob("qwen2_train_term_level_*.err")
    assert "a step" in out.read_text()
    assert "a step" not in err.read_text()
    assert "a row skipped" in err.read_text()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(launch, "stamp", lambda: "other")
    launch.train_here(config)
    assert not list((tmp_path / "logs").glob("*other*"))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import json, sys; json.dump(ANSWER, open(sys.argv[1], 'w'))", OUTCOME),
        ("import sys; sys.exit(1)", launch.LaunchError),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})", KeyboardInterrupt),
        ("import sys; sys.exit(130)", KeyboardInterrupt),
    ],
)
def test_processes_that_fail_and_stop_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, expected: object, capfd: pytest.CaptureFixture[str]
) -> None:
    """An outcome, a failure with where its reason stands, or a stop."""
    text = program.replace("ANSWER", repr(launch.outcome_json(OUTCOME)))
    monkeypatch.setattr(launch, "torchrun", lambda n, asked, option, file: [sys.executable, "-c", text, file])
    config = replaced(toy_config(tmp_path), {"run.processes": 2})
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if isinstance(expected, Outcome):
        assert launch.train(config) == expected
    else:
        with pytest.raises(expected):  # type: ignore[call-overload]
            launch.train(config)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_the_processes_save(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGTERM is passed on and Ctrl-C, which they have already, is waited for; then the command stops too."""
    text = f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / "saved")!r}, "w").close(), sys.exit(1)))
os.kill(os.getppid(), {int(number)})
time.sleep(0.3 if {int(number)} == signal.SIGINT else 20)
open({str(tmp_path / "saved")!r}, "w").close()
sys.exit(1)
"""
    monkeypatch.setattr(launch, "torchrun", lambda n, asked, option, file: [sys.executable, "-c", text])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(KeyboardInterrupt):
        launch.train(replaced(toy_config(tmp_path), {"run.processes": 2}))
    assert (tmp_path / "saved").exists()


def test_a_best_of_an_earlier_run_is_not_gone_on_with(tmp_path: Path) -> None:
    """Only a best checkpoint of the run that wrote the last one counts."""
    judged = replaced(toy_config(tmp_path), {"data.test": Path("t.json")})
    last, best = judged.run.save_path, best_path(judged.run, judged.data.single_slice)
    write_checkpoint(best, Checkpoint(judged, {}, 2))
    write_checkpoint(last, Checkpoint(replaced(judged, {"run.epochs": 9}), {}, 5))
    assert launch.result_path(judged) == best
    unjudged = replaced(judged, {"data.test": None})
    write_checkpoint(last, Checkpoint(unjudged, {}, 5))
    assert launch.result_path(unjudged) == last
