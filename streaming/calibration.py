"""Evidence -> probability -> threshold.

A logistic model over a few numbers of one candidate gives the probability that its entry was really said. What a user
sets is a consequence, "at most N false hints per hour"; the table of the development streams turns it into a threshold.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError
from streaming.false_hint_budget import ThresholdCurve

Profile = Literal["booth", "mt"]
PROFILES: Mapping[str, float] = {"booth": 12.0, "mt": 300.0}
"""False hints per hour of each profile: a person reads `booth`, a translation model reads `mt`."""

_LARGEST = 2**53

FEATURES: tuple[str, ...] = (
    "characters",
    "phonemes",
    "least",
    "characters_over_free",
    "phonemes_over_free",
    "characters_over_background",
    "phonemes_over_background",
    "ends_apart",
    "starts_apart",
    "right_context",
    "length",
    "tempo",
    "tempo_squared",
    "over_rivals",
    "over_neighbour",
    "over_covering",
    "fit_around",
    "commonness",
    "seen_before",
    "over_free_before",
    "text",
    "text_squared",
    "text_least",
    "text_least_squared",
    "text_doubt",
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logistic model (on standardised features) and the table of false hints.

    `thresholds` and `false_per_hour` (per glossary size in `sizes`) are float arrays: probability thresholds rising,
    false hints per hour falling; `expected_per_hour`, of the same shape, is how many the probabilities of the hints
    made one expect. None where that was not counted.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float
    sizes: tuple[int, ...]
    thresholds: NDArray[np.float64]
    false_per_hour: NDArray[np.float64]
    expected_per_hour: NDArray[np.float64] | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Calibration":
        """From ``spec.json``; raises ValueError where the shapes do not fit.

        Features that it was not fitted on, because it is older than they are, count nothing.
        """
        fitted = tuple(raw["features"])
        if fitted != tuple(name for name in FEATURES if name in fitted):
            raise ValueError(f"calibration for other features: {raw['features']}")
        numbers = {name: np.array(raw[name], np.float64) for name in ("mean", "scale", "weights")}
        if {array.shape for array in numbers.values()} != {(len(fitted),)} or not fitted:
            raise ValueError(f"calibration whose mean, scale or weights are not {len(fitted)} numbers")
        weighed = np.array([float(raw["bias"]), *np.concatenate([*numbers.values()])])
        if not np.isfinite(weighed).all() or not (numbers["scale"] > 0).all():
            raise ValueError("calibration whose mean, scale, weights or bias are no numbers, or whose scale is 0")
        calibration = cls(
            mean=_spread(numbers["mean"], fitted, 0.0),
            scale=_spread(numbers["scale"], fitted, 1.0),
            weights=_spread(numbers["weights"], fitted, 0.0),
            bias=float(raw["bias"]),
            sizes=_rising_sizes(raw["sizes"]),
            thresholds=np.array(raw["thresholds"], np.float64),
            false_per_hour=np.array(raw["false_per_hour"], np.float64),
            expected_per_hour=np.array(raw["expected_per_hour"], np.float64) if "expected_per_hour" in raw else None,
        )
        tables = [table for table in (calibration.false_per_hour, calibration.expected_per_hour) if table is not None]
        shape = (len(calibration.sizes), len(calibration.thresholds))
        if 0 in shape or any(table.shape != shape for table in tables):
            raise ValueError("calibration table of another shape")
        # What is not a number fails every comparison.
        if not all(((table >= 0) & (table < np.inf)).all() for table in tables):
            raise ValueError("calibration table with false hints that are no numbers from 0 on")
        thresholds = calibration.thresholds
        if not ((thresholds >= 0) & (thresholds <= 1)).all() or not (np.diff(thresholds) > 0).all():
            raise ValueError("calibration thresholds that are no rising probabilities")
        return calibration

    def to_json(self) -> dict[str, Any]:
        """For ``spec.json``."""
        expected = {} if self.expected_per_hour is None else {"expected_per_hour": _rounded(self.expected_per_hour)}
        return {
            "features": list(FEATURES),
            "mean": [round(float(x), 6) for x in self.mean],
            "scale": [round(float(x), 6) for x in self.scale],
            "weights": [round(float(x), 6) for x in self.weights],
            "bias": round(self.bias, 6),
            "sizes": list(self.sizes),
            "thresholds": [round(float(x), 6) for x in self.thresholds],
            "false_per_hour": _rounded(self.false_per_hour),
            **expected,
        }

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, features] -> float64[n] in 0..1."""
        logit = ((features - self.mean) / self.scale) @ self.weights + self.bias
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))), np.float64)

    def threshold(self, false_hints_per_hour: float, entries: int) -> float:
        """The probability from which hints stay below the false hints asked for, with a glossary of `entries`.

        Raises SettingError for a number that is not above 0.
        """
        if not false_hints_per_hour > 0 or not np.isfinite(false_hints_per_hour):
            raise SettingError(f"false hints per hour is {false_hints_per_hour}; give a number above 0, such as 12")
        return self.curve(entries).threshold(false_hints_per_hour)

    def curve(self, entries: int) -> ThresholdCurve:
        """What each threshold costs with a glossary of `entries`.

        Between the measured sizes the table is interpolated on a logarithmic scale; outside it, the nearest size
        counts.
        """
        where = np.interp(np.log(max(entries, 1)), np.log(self.sizes), np.arange(len(self.sizes)))
        low = int(where)
        high, share = min(low + 1, len(self.sizes) - 1), where - low
        tables = [table for table in (self.false_per_hour, self.expected_per_hour) if table is not None]
        rows = [tuple(((1 - share) * table[low] + share * table[high]).tolist()) for table in tables]
        return ThresholdCurve(tuple(self.thresholds.tolist()), *rows)


def _rising_sizes(raw: Sequence[Any]) -> tuple[int, ...]:
    """Sizes of glossaries. Raises ValueError where they are no rising whole numbers from 1 on that a list can have."""
    sizes = tuple(raw)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= _LARGEST for n in sizes)
    if not whole or any(b <= a for a, b in itertools.pairwise(sizes)):
        raise ValueError(f"calibration sizes {str(raw)[:60]}")
    return sizes


def _spread(numbers: NDArray[np.float64], fitted: Sequence[str], missing: float) -> NDArray[np.float64]:
    """The numbers of some features, in the order of all of them."""
    of = dict(zip(fitted, numbers.tolist(), strict=True))
    return np.array([of.get(name, missing) for name in FEATURES], np.float64)


def _rounded(table: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(x), 3) for x in row] for row in table]


def stack_features(rows: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Named numbers of each candidate -> float64[n, features] in the order of FEATURES."""
    return np.array([[row[name] for name in FEATURES] for row in rows], np.float64).reshape(len(rows), len(FEATURES))
