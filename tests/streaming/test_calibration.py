"""Evidence becomes a probability, and the false hints a user accepts become a threshold."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.calibration import FEATURES, PROFILES, Calibration, stack_features
from streaming.errors import SettingError

SIZES = (100, 1000)
THRESHOLDS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
PER_HOUR = np.array([[200.0, 60.0, 20.0, 6.0, 1.0], [800.0, 240.0, 80.0, 24.0, 4.0]])


def _calibration() -> Calibration:
    numbers = np.random.default_rng(4)
    size = len(FEATURES)
    return Calibration(
        mean=numbers.normal(size=size),
        scale=numbers.uniform(0.5, 2.0, size),
        weights=numbers.normal(size=size),
        bias=-0.25,
        sizes=SIZES,
        thresholds=THRESHOLDS,
        false_per_hour=PER_HOUR,
    )


@given(st.lists(st.lists(st.floats(-5, 5), min_size=len(FEATURES), max_size=len(FEATURES)), max_size=4))
def test_probability_is_the_logistic_of_the_standardised_features(rows: list[list[float]]) -> None:
    """1 / (1 + exp(−(w · (x − mean) / scale + bias))), row by row."""
    calibration = _calibration()
    found = calibration.probability(np.array(rows, np.float64).reshape(-1, len(FEATURES)))
    parts = list(zip(calibration.mean, calibration.scale, calibration.weights, strict=True))
    for probability, row in zip(found, rows, strict=True):
        logit = calibration.bias + sum(w * (x - m) / s for x, (m, s, w) in zip(row, parts, strict=True))
        assert probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-9)


@pytest.mark.parametrize(("value", "expected"), [(1e9, 1.0), (-1e9, 0.0)])
def test_extreme_evidence_stays_a_probability(value: float, expected: float) -> None:
    """Numbers far outside those seen in training overflow nothing."""
    size = len(FEATURES)
    plain = Calibration(np.zeros(size), np.ones(size), np.ones(size), 0.0, SIZES, THRESHOLDS, PER_HOUR)
    assert plain.probability(np.full((1, size), value))[0] == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 2000), st.floats(0.01, 2000), st.integers(1, 100_000))
def test_threshold_falls_with_the_false_hints_accepted(one: float, other: float, entries: int) -> None:
    """Who accepts more false hints gets no higher threshold."""
    few, many = sorted((one, other))
    calibration = _calibration()
    assert calibration.threshold(few, entries) >= calibration.threshold(many, entries)


@given(st.floats(0.01, 2000), st.integers(1, 100_000), st.integers(1, 100_000))
def test_threshold_rises_with_the_size_of_the_glossary(per_hour: float, one: int, other: int) -> None:
    """More terms give more chances to err, so a larger glossary gets no lower threshold."""
    small, large = sorted((one, other))
    calibration = _calibration()
    assert calibration.threshold(per_hour, small) <= calibration.threshold(per_hour, large)


@pytest.mark.parametrize(
    ("per_hour", "entries", "expected"),
    [
        (60, 100, 0.3),  # just allowed at a measured size
        (59, 100, 0.5),
        (80, 1000, 0.5),
        (60, 1, 0.3),  # below the measured sizes the smallest counts
        (80, 10**6, 0.5),  # above them the largest
        (150, 316, 0.3),  # half way on the logarithmic scale: (60 + 240) / 2, a hair less at 316
        (149, 317, 0.5),
        (0.5, 100, 0.9),  # more careful than the table goes: its highest
    ],
)
def test_threshold_is_the_lowest_that_keeps_below_the_false_hints(
    per_hour: float, entries: int, expected: float
) -> None:
    """The table decides at measured sizes; between them it is interpolated, outside the nearest size counts."""
    assert _calibration().threshold(per_hour, entries) == expected


@pytest.mark.parametrize("value", [0.0, -3.0, float("inf"), float("nan")])
def test_impossible_number_of_false_hints_is_refused(value: float) -> None:
    """The message names the value and gives a usable one."""
    with pytest.raises(SettingError, match=rf"{value}; give a number above 0"):
        _calibration().threshold(value, 300)


def test_profiles_are_ordered() -> None:
    """A person is shown fewer hints than a translation model."""
    assert 0 < PROFILES["booth"] < PROFILES["mt"]


def test_json_round_trip_changes_nothing_that_matters() -> None:
    """Through JSON and back, the numbers agree to six digits and are written the same again."""
    calibration = _calibration()
    written = json.dumps(calibration.to_json())
    back = Calibration.from_json(json.loads(written))
    for name in ("mean", "scale", "weights", "thresholds", "false_per_hour"):
        np.testing.assert_allclose(getattr(back, name), getattr(calibration, name), atol=1e-6)
    assert (back.bias, back.sizes) == (calibration.bias, SIZES)
    assert json.dumps(back.to_json()) == written


@pytest.mark.parametrize(
    "change",
    [
        {"features": list(FEATURES[:-1])},
        {"features": [*FEATURES[1:], FEATURES[0]]},
        {"features": [*FEATURES[:-1], "loudness"]},
        {"features": [*FEATURES[:-1], FEATURES[-2]]},
        {"features": [], "mean": [], "scale": [], "weights": []},
        {"mean": [0.0]},
        {"mean": [float("nan")] * len(FEATURES)},
        {"weights": [None] * len(FEATURES)},
        {"scale": [0.0] * len(FEATURES)},
        {"scale": [1.0] * (len(FEATURES) + 1)},
        {"weights": []},
        {"bias": float("nan")},
        {"bias": float("inf")},
        {"sizes": [100]},
        {"sizes": [-5, 1000]},
        {"sizes": [0, 1000]},
        {"sizes": [1000, 100]},
        {"sizes": [100, 10**400]},
        {"sizes": [100, 1000.5]},
        {"sizes": [True, 1000]},
        {"thresholds": [0.5]},
        {"false_per_hour": [1.0, 2.0]},
    ],
    ids=str,
)
def test_calibration_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    """Features of another order, or numbers that do not go with them, must not be read as if they did."""
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_json({**_calibration().to_json(), **change})


def test_an_older_calibration_goes_on_without_newer_features() -> None:
    """What it was not fitted on counts nothing, wherever it stands in the order."""
    written = _calibration().to_json()
    newer = (3, len(FEATURES) - 2)
    older = {
        name: [value for i, value in enumerate(values) if i not in newer] if len(values) == len(FEATURES) else values
        for name, values in written.items()
        if isinstance(values, list)
    }
    found = Calibration.from_json({**written, **older})
    rows = np.random.default_rng(0).normal(size=(20, len(FEATURES)))
    changed = rows.copy()
    changed[:, newer] += 7.0
    np.testing.assert_array_equal(found.probability(rows), found.probability(changed))
    rest = Calibration.from_json(written)
    assert [found.weights[i] for i in newer] == [0.0, 0.0]
    np.testing.assert_array_equal(np.delete(found.weights, newer), np.delete(rest.weights, newer))
    assert found.to_json()["features"] == list(FEATURES)


def test_features_are_stacked_in_their_order() -> None:
    """Named numbers become columns, whatever their order in the mapping; no candidates give no rows."""
    named = {name: float(i) for i, name in enumerate(FEATURES)}
    assert stack_features([dict(reversed(named.items()))]).tolist() == [list(range(len(FEATURES)))]
    assert stack_features([]).shape == (0, len(FEATURES))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("expected_per_hour", [[float("nan")] * 5] * 2, "no numbers from 0 on"),
        ("expected_per_hour", [[-0.5] * 5] * 2, "no numbers from 0 on"),
        ("false_per_hour", [[float("inf")] * 5] * 2, "no numbers from 0 on"),
        ("expected_per_hour", [[1.0] * 4] * 2, "another shape"),
        ("thresholds", [0.1, 0.3, 0.5, 0.7, float("nan")], "no rising probabilities"),
        ("thresholds", [0.1, 0.3, 0.5, 0.5, 0.9], "no rising probabilities"),
        ("thresholds", [0.1, 0.3, 0.5, 0.7, 1.5], "no rising probabilities"),
    ],
)
def test_a_table_that_cannot_be_is_refused(name: str, value: list[Any], named: str) -> None:
    """When it is read, not at the first hint."""
    raw = _calibration().to_json() | {"expected_per_hour": PER_HOUR.tolist()}
    Calibration.from_json(raw)
    with pytest.raises(ValueError, match=named):
        Calibration.from_json(raw | {name: value})


def test_an_empty_table_is_refused() -> None:
    """There would be no threshold to choose."""
    raw = _calibration().to_json()
    with pytest.raises(ValueError, match="another shape"):
        Calibration.from_json(raw | {"thresholds": [], "false_per_hour": [[], []]})
