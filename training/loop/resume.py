"""The state of an unfinished run, beside its checkpoint: each rank writes its own file, then one names the step.

A kill at any instant leaves the last whole step: the files of a new step stand beside the old ones until LATEST,
replaced in one move, names it.
"""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streaming.durable import replace_file
from streaming.errors import SettingError
from training.loop.checkpoint import CheckpointError, save_state, unwritable
from training.loop.config import TrainConfig
from training.loop.settings import flat

LATEST = "LATEST"
STATE = frozenset(
    "config rows position random weights average optimiser scaler schedule judge negatives micro_batch figures".split()
)
"""What the state of a run holds."""
# How long (never shorter), how often told and where to: what a resumed run may change.
_OF_RUN = "epochs max_steps log_every logs checkpoint_every_s auto_micro_batch gpu_ids processes resume keep_epochs"
_MAY_DIFFER = frozenset(f"run.{name}" for name in _OF_RUN.split()) | {"data.workers"}
# The rate falls along a cosine to the last step, so every step depends on how long the run is.
_LENGTH = ("run.epochs", "run.max_steps")


@dataclass(slots=True)
class Position:
    """Where a run stands: epochs done, steps done in this epoch and in all, and the step that was judged last."""

    epoch: int = 0
    step_of_epoch: int = 0
    step: int = 0
    judged: int = -1


class ResumeFiles:
    """The folder of one run, seen by one rank.

    Args:
        folder: made when something is written.
        rank: of this process.
        world: number of processes.
    """

    def __init__(self, folder: Path, rank: int, world: int) -> None:
        self.folder, self._rank, self._world = folder, rank, world

    def write(self, step: int, state: dict[str, Any]) -> None:
        """Write this rank's file; call `publish` once all have.

        Raises:
            CheckpointError: the disk refuses; the state before is untouched.
        """
        save_state(self._file(step), state)

    def publish(self, step: int) -> None:
        """Name the step as the one to go on from, and remove the others. For rank 0."""
        try:
            replace_file(self.folder / LATEST, f"{step} {self._world}\n".encode())
        except OSError as cause:
            raise unwritable(self.folder / LATEST, cause) from cause
        for old in self.folder.glob("step*.pt"):
            if not old.name.startswith(f"step{step}-"):
                old.unlink(missing_ok=True)

    @property
    def is_there(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / LATEST).exists()

    def refuse_other_settings(self, config: TrainConfig) -> None:
        """Whether `read` would refuse these settings, before anything is done for the run. Raises as it does."""
        self._read(config)

    def read(self, config: TrainConfig, rows: str) -> dict[str, Any] | None:
        """This rank's last state; None where a run begins.

        Args:
            config: of the run that wants to go on.
            rows: digest of its rows.

        Raises:
            SettingError: the unfinished run had other settings, other rows or another number of processes.
            CheckpointError: the files are damaged.
        """
        state = self._read(config)
        if state is not None and state["rows"] != rows:
            raise SettingError(
                f"{self.folder} is of an unfinished run on other rows: the training files or the glossary changed "
                "since; put them back as they were to go on, or give --fresh to begin anew."
            )
        return state

    def _read(self, config: TrainConfig) -> dict[str, Any] | None:
        if not self.is_there:
            return None
        step, world = self._latest()
        if world != self._world:
            raise SettingError(
                f"{self.folder} is of an unfinished run of {world} processes and this one has {self._world}; start as "
                f"many, or give --fresh to begin anew."
            )
        state = _whole_state(self._file(step))
        _check_same(config, state["config"], self.folder)
        return state

    def _latest(self) -> tuple[int, int]:
        """Step and number of processes of the last state."""
        try:
            step, world = map(int, (self.folder / LATEST).read_text("utf-8").split())
        except (OSError, ValueError) as error:
            raise _damaged(self.folder / LATEST) from error
        return step, world

    def clear(self) -> None:
        """The run is finished, or begins anew: nothing is left to go on from."""
        if not self.folder.exists():
            return
        # First the name, so that a kill in between leaves nothing that seems whole.
        for file in (self.folder / LATEST, *self.folder.iterdir()):
            file.unlink(missing_ok=True)
        self.folder.rmdir()

    def _file(self, step: int) -> Path:
        return self.folder / f"step{step}-rank{self._rank}.pt"


def _whole_state(file: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            # Of what is no file of torch it warns too, beside the error.
            warnings.simplefilter("ignore")
            # Mapped: what only asks for the settings reads no weights.
            state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(file) from error
    except pickle.UnpicklingError as error:
        # Its text is of pickles and how to run their code.
        raise _damaged(file) from error
    if not isinstance(state, dict) or not state.keys() >= STATE or not isinstance(state["config"], dict):
        raise _damaged(file)
    return state


def _damaged(file: Path) -> CheckpointError:
    return CheckpointError(f"{file}, of an unfinished run, is missing or damaged; give --fresh to begin anew.")


def _is_less(now: int | None, before: int | None) -> bool:
    """Whether a bound of the run is lower than it was; None bounds nothing."""
    return now is not None and (before is None or now < before)


def _check_same(config: TrainConfig, before: dict[str, Any], folder: Path) -> None:
    now = flat(config)
    kept = {name for name in now.keys() | before.keys() if name not in _MAY_DIFFER}
    kept |= {name for name in _LENGTH if config.optimiser.schedule == "cosine" or _is_less(now[name], before.get(name))}
    changed = [
        f"{name} {before.get(name)!r} -> {now.get(name)!r}"
        for name in sorted(kept)
        if now.get(name) != before.get(name)
    ]
    if changed:
        raise SettingError(
            f"{folder} is of an unfinished run with other settings ({'; '.join(changed)}); give the same settings to "
            "go on, or --fresh to begin anew."
        )
