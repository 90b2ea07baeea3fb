"""One training run: model, optimiser and schedule, written whole and resumed exactly; its log, a JSON line a row."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

_LEAST_RATE = 0.02


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any instant leaves the old or the new one whole."""
    temporary = path.with_suffix(".tmp")
    torch.save(dict(state), temporary)
    temporary.replace(path)


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
