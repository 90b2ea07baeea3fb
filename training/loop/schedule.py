"""The learning rate: a linear warm-up, then a plateau that is lowered when recall@10 stops rising."""

from dataclasses import dataclass
from typing import TypedDict

import torch

# ReduceLROnPlateau of torch counts a rise of a ten-thousandth of the best value as one.
_LEAST_RISE = 1e-4


class ScheduleState(TypedDict):
    """What a resumed run needs."""

    factor: float
    best: float
    waited: int


@dataclass(slots=True)
class WarmupPlateau:
    """Multiplies the rate of every parameter group.

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
        return self._factor * min(1.0, (step + 1) / max(1, self.warmup_steps))

    def set_rates(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Put the rate of `step` into each group; a group keeps its full rate as `initial_lr`."""
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.factor(step)

    def evaluated(self, value: float) -> None:
        """Lower the rate when the value, greater is better, has not risen for more than `patience` evaluations."""
        if value > self._best * (1.0 + _LEAST_RISE):
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        if self._waited > self.patience:
            self._factor *= self.plateau_factor
            self._waited = 0

    def state(self) -> ScheduleState:
        """For a checkpoint."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}

    def restore(self, state: ScheduleState) -> None:
        """Go on from a checkpoint."""
        self._factor, self._best, self._waited = state["factor"], state["best"], state["waited"]
