"""When to end a run that no longer gets better, and which step was the best."""

from dataclasses import dataclass
from typing import TypedDict


class StoppingState(TypedDict):
    """What a resumed run needs."""

    best: float
    step: int
    waited: int


@dataclass(slots=True)
class EarlyStopping:
    """Counts evaluations without a better value (greater is better); `patience` of them end the run, 0 never does."""

    patience: int
    best: float = float("-inf")
    step: int = -1
    _waited: int = 0

    def is_better(self, value: float, step: int) -> bool:
        """Whether the weights after this step are the best so far; counts them."""
        if value > self.best:
            self.best, self.step, self._waited = value, step, 0
            return True
        self._waited += 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether the run should end."""
        return 0 < self.patience <= self._waited

    def state(self) -> StoppingState:
        """For a checkpoint."""
        return {"best": self.best, "step": self.step, "waited": self._waited}

    def restore(self, state: StoppingState) -> None:
        """Go on from a checkpoint."""
        self.best, self.step, self._waited = state["best"], state["step"], state["waited"]
