import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from tests.training.loop.toy_runs import assert_equal, run_whole, weights_of
from training.loop.stopping import Stopped
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer

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
