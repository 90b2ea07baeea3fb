"""When weights are judged, how good their figures are, and when a run that no longer gets better ends."""

import time
from collections.abc import Mapping

from streaming.errors import SettingError
from training.loop.config import RunConfig
from training.loop.early_stopping import EarlyStopping, StoppingState

_LOSS = "loss"
# Of equal figures the one with the better mean reciprocal rank is better; smaller than any step of a recall.
_TIE_BREAK = 1e-6


class Judge:
    """Judges the evaluations of a run.

    Args:
        run: by which figure, how often within an epoch, and how many evaluations may be no better.
    """

    def __init__(self, run: RunConfig) -> None:
        self._run = run
        self._stopping = EarlyStopping(run.early_stop_patience)
        self._since = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Whether the weights after `step` steps should be judged although the epoch goes on."""
        by_steps = self._run.evaluate_every_steps > 0 and step > 0 and step % self._run.evaluate_every_steps == 0
        by_time = 0 < self._run.evaluate_every_s <= time.monotonic() - self._since
        return by_steps or by_time

    def merit(self, figures: Mapping[str, float]) -> float:
        """How good the weights are, greater is better; the time to the next evaluation runs from here.

        Raises:
            SettingError: the evaluation gives no such figure.
        """
        self._since = time.monotonic()
        name = self._run.judged_by
        if name not in figures:
            raise SettingError(
                f"the run is to be judged by {name!r}, which is none of its figures: {', '.join(figures)}; set "
                "run.judged_by to one of these."
            )
        return -figures[name] if name == _LOSS else figures[name] + _TIE_BREAK * figures.get("mrr", 0.0)

    def is_better(self, merit: float, step: int) -> bool:
        """Whether the weights after this step are the best so far; counts them."""
        return self._stopping.is_better(merit, step)

    @property
    def has_best(self) -> bool:
        """Whether any weights were judged."""
        return self._stopping.step >= 0

    @property
    def is_over(self) -> bool:
        """Whether the run should end."""
        return self._stopping.is_over

    def state(self) -> StoppingState:
        """For a checkpoint."""
        return self._stopping.state()

    def restore(self, state: StoppingState) -> None:
        """Go on from a checkpoint."""
        self._stopping.restore(state)
