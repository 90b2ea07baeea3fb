"""When a candidate becomes a hint."""

from dataclasses import dataclass, replace

from streaming.errors import SettingError
from streaming.false_hint_budget import FalseHintBudget


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """When a candidate becomes a hint; raises SettingError for a value out of its range.

    `threshold` is a probability; with a `budget` it holds to begin with, and moves with what the stream has spent of
    it; `refractory_ms` the time after a hint in which its entry stays silent;
    `max_hints_per_hop` 0 silences everything. Entries whose ids are in `mute_entries` are listened for, so that no
    other takes their place, and not shown.
    """

    threshold: float
    refractory_ms: int = 400
    max_hints_per_hop: int = 5
    mute_entries: frozenset[str] = frozenset()
    budget: FalseHintBudget | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise SettingError(f"threshold = {self.threshold} is no probability: give 0..1")
        if not 0 <= self.refractory_ms <= 60_000:
            raise SettingError(f"refractory_ms = {self.refractory_ms} is out of range: give 0..60000")
        if not 0 <= self.max_hints_per_hop <= 1000:
            raise SettingError(f"max_hints_per_hop = {self.max_hints_per_hop} is out of range: give 0..1000")

    def asking_for(self, false_hints_per_hour: float) -> "DecisionConfig":
        """The same for another budget. Raises SettingError where there is none, or that is not above 0."""
        if self.budget is None:
            raise SettingError(
                f"false_hints_per_hour = {false_hints_per_hour}: it is not known here how many hints are false; "
                "give a threshold"
            )
        budget = FalseHintBudget(false_hints_per_hour, self.budget.curve)
        return replace(self, threshold=budget.curve.threshold(false_hints_per_hour), budget=budget)
