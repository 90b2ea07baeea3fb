"""A threshold that keeps to so many false hints an hour, whoever speaks.

A table of the development streams turns the false hints that a user can bear into a threshold; but of two voices, or
two glossaries, one gets ten times as many at the same threshold. A calibrated probability p says itself how much of a
hint is false, 1 − p: so what was emitted is added up, and the threshold moves until the sum comes to what was asked.
"""

from dataclasses import dataclass

from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE

# What is overspent or saved is made up for in so much speech.
_HORIZON_H = 0.05
# The threshold is at most that of so many times as many false hints, or as few.
_MOST_TIMES = 4.0
# More than is asked for in so many hours is neither saved nor owed: who speaks next need not pay for who spoke before.
_MOST_OWED_H = 0.15
# So many false and expected hints an hour more keep the ratio of small numbers near 1.
_SMOOTHING = 0.5
_SAMPLES_PER_HOUR = 3600 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """What each threshold cost on the development streams, for one size of glossary.

    Attributes:
        thresholds: probabilities, rising.
        false_per_hour: false hints an hour at each, falling.
        expected_per_hour: what the probabilities of the hints made one expect, an hour; () where that is not known.
    """

    thresholds: tuple[float, ...]
    false_per_hour: tuple[float, ...]
    expected_per_hour: tuple[float, ...] = ()

    def threshold(self, per_hour: float) -> float:
        """The least one with at most so many false hints an hour, or the highest there is."""
        return self.thresholds[self._place(per_hour)]

    def false_per_expected(self, per_hour: float) -> float:
        """How many hints were false for each that was expected to be, where at most so many an hour are."""
        if not self.expected_per_hour:
            return 1.0
        place = self._place(per_hour)
        return (self.false_per_hour[place] + _SMOOTHING) / (self.expected_per_hour[place] + _SMOOTHING)

    def _place(self, per_hour: float) -> int:
        enough = (place for place, false in enumerate(self.false_per_hour) if false <= per_hour)
        return next(enough, len(self.thresholds) - 1)


@dataclass(frozen=True, slots=True)
class FalseHintBudget:
    """So many false hints an hour of speech; raises SettingError where that is not above 0."""

    per_hour: float
    curve: ThresholdCurve

    def __post_init__(self) -> None:
        if not 0 < self.per_hour < float("inf"):
            raise SettingError(f"false_hints_per_hour = {self.per_hour}: give a number above 0, such as 12")


class SpentBudget:
    """What one stream has spent of its budget, and the threshold that follows from it."""

    def __init__(self, budget: FalseHintBudget) -> None:
        self._budget = budget
        # False hints that were due and not expected yet; below 0 where more were expected.
        self._saved = 0.0
        self._heard_until = 0

    @property
    def per_hour(self) -> float:
        """What was asked for."""
        return self._budget.per_hour

    @property
    def threshold(self) -> float:
        """From which probability on the next candidate becomes a hint."""
        asked = self._budget.per_hour
        per_hour = asked + self._saved / _HORIZON_H
        return self._budget.curve.threshold(min(max(per_hour, asked / _MOST_TIMES), asked * _MOST_TIMES))

    def move(self, budget: FalseHintBudget) -> None:
        """Go on with the curve of another glossary."""
        self._budget = budget

    def hear(self, start_sample: int, end_sample: int) -> None:
        """Speech was decided on; what was heard before does not count again."""
        heard = max(0, end_sample - max(start_sample, self._heard_until))
        self._heard_until = max(self._heard_until, end_sample)
        self._save(self._budget.per_hour * heard / _SAMPLES_PER_HOUR)

    def spend(self, probability: float) -> None:
        """A hint of that probability was emitted."""
        self._save((probability - 1.0) * self._budget.curve.false_per_expected(self._budget.per_hour))

    def _save(self, false_hints: float) -> None:
        most = self._budget.per_hour * _MOST_OWED_H
        self._saved = min(max(self._saved + false_hints, -most), most)
