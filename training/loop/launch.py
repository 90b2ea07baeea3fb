"""Start a training in this process, or by torchrun in several of this machine; its output goes to documented files."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import torch

from streaming.errors import SettingError, TermCueError
from training.loop import settings
from training.loop.checkpoint_files import read_checkpoint
from training.loop.checkpoint_paths import best_path
from training.loop.config import RunConfig, TrainConfig
from training.loop.finished import are_of_one_run
from training.loop.logs import TRAIN_LOG, stamp, written_to
from training.loop.ports import Outcome, Progress
from training.loop.stopping import handled

REJECTED, INTERRUPTED = 2, 130
# Exit codes of a process that a signal ended, as shells and as Python's subprocess give them.
_INTERRUPTS = frozenset({INTERRUPTED, 143, -2, -15})


class LaunchError(TermCueError):
    """A training in other processes that failed; what went wrong was told by them."""


def choose_gpus(run: RunConfig) -> None:
    """Show this process, and those it starts, only the GPUs that are asked for.

    Raises:
        SettingError: one of them is not there.
    """
    if not run.gpu_ids:
        return
    count = torch.cuda.device_count()
    missing = [gpu for gpu in run.gpu_ids if not 0 <= gpu < count]
    if missing:
        there = f"there are {count}, numbered from 0" if count else "there is none, or torch was built without CUDA"
        raise SettingError(
            f"--gpu-ids {','.join(map(str, run.gpu_ids))}: no GPU {missing[0]} is found; {there}. Name others, or "
            "leave --gpu-ids empty for all there are."
        )
    # The numbers count those that were visible before, which may be fewer than the machine has.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if os.environ.get("CUDA_VISIBLE_DEVICES") else []
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible[gpu] if visible else str(gpu) for gpu in run.gpu_ids)


def is_launched(environment: Mapping[str, str]) -> bool:
    """Whether torchrun or accelerate has started this process as one of several."""
    return "LOCAL_RANK" in environment


def train(config: TrainConfig, progress: Progress | None = None) -> Outcome:
    """Train by the settings, in as many processes as they ask for.

    Raises:
        SettingError, TermCueError: as `training.loop.assemble.run_training`.
        LaunchError: one of several processes failed.
        KeyboardInterrupt: asked to stop; the state is saved.
    """
    if is_launched(os.environ):
        return train_here(config, progress)
    choose_gpus(config.run)
    processes = config.run.processes or max(1, len(config.run.gpu_ids) or torch.cuda.device_count())
    return train_here(config, progress) if processes == 1 else _train_in_processes(config, processes)


def train_here(config: TrainConfig, progress: Progress | None = None) -> Outcome:
    """Train in this process, which may be one rank of several; the first writes what is told to logs/."""
    from training.loop.assemble import run_training

    with train_files(config.run.logs):
        return run_training(config, progress)


def train_files(logs: Path) -> AbstractContextManager[None]:
    """logs/qwen2_train_term_level_*.out with what is told and .err with warnings, from the first rank only."""
    if os.environ.get("RANK", "0") != "0":
        return nullcontext()
    name = logs / f"{TRAIN_LOG}_{stamp()}"
    return written_to({name.with_suffix(".out"): logging.INFO, name.with_suffix(".err"): logging.WARNING})


def torchrun(processes: int, settings_file: Path, *options: str) -> list[str]:
    """The command that trains in several processes of this machine."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"),
        *("--module", "training.loop", str(settings_file), *options),
    ]


def _train_in_processes(config: TrainConfig, processes: int) -> Outcome:
    with TemporaryDirectory(prefix="termcue-train-") as folder:
        asked, answered = Path(folder) / "settings.json", Path(folder) / "outcome.json"
        asked.write_text(json.dumps(settings.written(config)), "utf-8")
        code, is_stopped = _wait(torchrun(processes, asked, "--outcome", str(answered)))
        if is_stopped:
            raise KeyboardInterrupt
        if not answered.exists():
            raise LaunchError(
                f"one of {processes} processes failed (exit code {code}); its reason is told above and in "
                f"{config.run.logs}/{TRAIN_LOG}_*.err. The same command goes on from the last saved state."
            )
        return outcome_from(json.loads(answered.read_text("utf-8")))


def _wait(command: list[str]) -> tuple[int, bool]:
    """Run it to its end: its exit code, and whether Ctrl-C or SIGTERM ended it; it is given the time to save."""
    # Standard output belongs to the results of the command that trains.
    with subprocess.Popen(command, stdout=sys.stderr.fileno()) as process:
        stopped: list[int] = []

        def pass_on(number: int, frame: FrameType | None) -> None:
            stopped.append(number)
            # Ctrl-C reaches the processes from the terminal itself.
            if number == signal.SIGTERM:
                process.send_signal(number)

        with handled(pass_on):
            code = process.wait()
    return code, bool(stopped) or code in _INTERRUPTS


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """An outcome as JSON."""
    return asdict(outcome) | {
        "checkpoint": str(outcome.checkpoint),
        "best": None if outcome.best is None else str(outcome.best),
        "figures": dict(outcome.figures),
    }


def outcome_from(value: dict[str, object]) -> Outcome:
    """The other way round."""
    best = value["best"]
    paths = {"checkpoint": Path(str(value["checkpoint"])), "best": None if best is None else Path(str(best))}
    return Outcome(**(value | paths))  # type: ignore[arg-type]


def result_path(config: TrainConfig) -> Path:
    """The checkpoint to go on with after training: the best where one was judged in that run, else the last.

    Raises:
        CheckpointError: what is there cannot be read.
    """
    last, best = config.run.save_path, best_path(config.run, config.data.single_slice)
    if not best.exists() or not last.exists():
        return best if best.exists() else last
    # A run without test rows leaves the best of an earlier one where it was.
    return best if are_of_one_run(read_checkpoint(best), read_checkpoint(last)) else last
