"""When to end a run that no longer gets better, and which epoch was the best."""

from dataclasses import dataclass
from typing import TypedDict


class StoppingState(TypedDict):
    """What a resumed run needs."""

    best: float
    epoch: int
    waited: int


@dataclass(slots=True)
class EarlyStopping:
    """Counts epochs without a better value (greater is better); the run ends after `patience` of them."""

    patience: int
    best: float = float("-inf")
    epoch: int = -1
    _waited: int = 0

    def is_better(self, value: float, epoch: int) -> bool:
        """Whether this epoch is the best so far; counts it."""
        if value > self.best:
            self.best, self.epoch, self._waited = value, epoch, 0
            return True
        self._waited += 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether the run should end."""
        return self._waited >= self.patience

    def state(self) -> StoppingState:
        """For a checkpoint."""
        return {"best": self.best, "epoch": self.epoch, "waited": self._waited}

    def restore(self, state: StoppingState) -> None:
        """Go on from a checkpoint."""
        self.best, self.epoch, self._waited = state["best"], state["epoch"], state["waited"]
