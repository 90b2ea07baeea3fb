"""One training run: model, optimiser and schedule, written whole and resumed exactly; its log, a JSON line a row."""

import errno
import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streaming.durable import STAGING_PREFIX
from streaming.errors import TermCueError

_LEAST_RATE = 0.02
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CheckpointError(TermCueError):
    """A checkpoint that cannot be written, or read, or is of another kind."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any instant leaves the old or the new one whole.

    Raises:
        CheckpointError: the disk refuses; what stood at `path` is as it was.
    """
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staging.open("wb") as stream:
                torch.save(dict(state), stream)
                stream.flush()
                os.fsync(stream.fileno())
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except (OSError, RuntimeError) as cause:
        # torch's writer turns the refusal of a full disk into a RuntimeError.
        raise unwritable(path, cause) from cause


def unwritable(path: Path, cause: BaseException) -> CheckpointError:
    """The sentence for a checkpoint that could not be saved."""
    reason = cause
    while not isinstance(reason, OSError) and reason.__context__ is not None:
        reason = reason.__context__
    why = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(cause)
    kept = "the checkpoint that was there is untouched" if path.is_file() else "nothing was left there"
    room = "Choose another place with --save-path"
    if not isinstance(reason, OSError) or reason.errno in _FULL:
        room = "Make room on that disk, or choose another place with --save-path,"
    cure = f"{room} and give the same command again: it goes on from the last saved state."
    return CheckpointError(f"cannot save {path}: {why}; {kept}. {cure}")


def warm_cosine(optimiser: torch.optim.Optimizer, warmup: int, total: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The rate rises for `warmup` steps, then falls along a cosine to a fiftieth at step `total`."""

    def rate(step: int) -> float:
        fallen = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
        return min(1.0, (step + 1) / warmup) * (_LEAST_RATE + (1 - _LEAST_RATE) * fallen)

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


@dataclass(frozen=True, slots=True)
class Run:
    """What every training has in common; `file` is its checkpoint, the log stands beside it."""

    file: Path
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR

    def restore(self) -> dict[str, Any] | None:
        """Go on from the checkpoint, the random numbers included; None (and an empty folder) where there is none."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            return None
        state: dict[str, Any] = torch.load(self.file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        return state

    def save(self, row: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 - whatever torch can save
        """Append `row` to the log and write the checkpoint with `more` in it."""
        with (self.file.parent / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
        }
        save_state(self.file, state | more)
