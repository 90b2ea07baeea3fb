"""The learning rate: a linear warm-up, then a plateau that is lowered when nothing gets better, or a cosine."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from training.loop.config import OptimiserConfig

# ReduceLROnPlateau of torch counts a rise of a ten-thousandth of the best value as one.
_LEAST_RISE = 1e-4
_LEAST_RATE = 0.02


class Schedule(Protocol):
    """What every parameter group's rate is multiplied by."""

    def factor(self, step: int) -> float:
        """At `step`, counted from 0."""
        ...

    def evaluated(self, value: float) -> None:
        """Hear how good the weights are, greater is better."""
        ...

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        ...


def schedule_for(config: OptimiserConfig, steps: int) -> Schedule:
    """The schedule of a run of so many steps in all."""
    if config.schedule == "cosine":
        return WarmupCosine(config.warmup_steps, steps)
    return WarmupPlateau(config.warmup_steps, config.plateau_factor, config.plateau_patience)


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Put the rate of a step into each group; a group keeps its full rate as `initial_lr`."""
    for group in optimiser.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def _warm_up(step: int, steps: int) -> float:
    """From 1/steps to 1."""
    return min(1.0, (step + 1) / max(1, steps))


@dataclass(slots=True)
class WarmupPlateau:
    """The whole rate, and a lower one after each plateau.

    Attributes:
        warmup_steps: over so many steps the rate rises from 1/warmup_steps of its value to the whole.
        plateau_factor: what a plateau multiplies the rate by.
        patience: evaluations without a rise that are let pass first.
    """

    warmup_steps: int
    plateau_factor: float
    patience: int
    _factor: float = 1.0
    _best: float = float("-inf")
    _waited: int = 0

    def factor(self, step: int) -> float:
        """What the rate is multiplied by at `step`, counted from 0."""
        return self._factor * _warm_up(step, self.warmup_steps)

    def evaluated(self, value: float) -> None:
        """Lower the rate when the value, greater is better, has not risen for more than `patience` evaluations."""
        # The value is below 0 where a loss is judged: the rise is a share of its size.
        if value > self._best + (_LEAST_RISE * abs(self._best) if math.isfinite(self._best) else 0.0):
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        if self._waited > self.patience:
            self._factor *= self.plateau_factor
            self._waited = 0

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._factor, self._best, self._waited = state["factor"], state["best"], state["waited"]


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """Down a cosine to a fiftieth of the rate at step `steps` (Loshchilov and Hutter, 2017); knows no evaluations.

    Attributes:
        warmup_steps: the rate of the cosine is multiplied by 1/warmup_steps and so on up to 1.
        steps: of the whole run.
    """

    warmup_steps: int
    steps: int

    def factor(self, step: int) -> float:
        """What the rate is multiplied by at `step`, counted from 0."""
        fallen = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return _warm_up(step, self.warmup_steps) * (_LEAST_RATE + (1 - _LEAST_RATE) * fallen)

    def evaluated(self, value: float) -> None:
        """How good the weights are changes nothing."""

    def state(self) -> dict[str, Any]:
        """The step alone says all."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""
