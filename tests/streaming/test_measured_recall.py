"""What a calibration's account lets one expect of a glossary."""

import math
from typing import Any

import pytest

from streaming.measured_recall import MeasuredStream, expected_recall, measured_streams


def _raw(name: str, terms: int, recall: float, **changes: object) -> dict[str, Any]:
    asked = {str(n): {"false_per_hour": float(n), "recall": recall + n / 1000} for n in (12, 60, 300)}
    best = {"12": 0.1, "60": 0.2, "300": 0.3}
    return {
        "stream": name,
        "terms": terms,
        "recall_at_false_hints_per_hour": best,
        "at_false_hints_asked_for": asked,
        **changes,
    }


def test_between_what_was_asked_for_it_is_interpolated_and_outside_it_is_the_nearest() -> None:
    """On a logarithmic scale, as false hints an hour are dialled."""
    stream = MeasuredStream.from_json(_raw("novel", 300, 0.5))
    assert [stream.at(n) for n in (1, 12, 60, 300, 9000)] == pytest.approx([0.512, 0.512, 0.56, 0.8, 0.8])
    assert stream.at(math.sqrt(12 * 60)) == pytest.approx((0.512 + 0.56) / 2)


def test_where_nobody_asked_the_best_thresholds_count() -> None:
    """A calibration of one voice has nobody else's table to ask by."""
    raw = _raw("novel", 300, 0.5)
    del raw["at_false_hints_asked_for"]
    assert MeasuredStream.from_json(raw).recall == {12: 0.1, 60: 0.2, 300: 0.3}


_SIZES = [
    _raw("novel", 334, 0.6),
    _raw("novel", 10_000, 0.4),
    _raw("prompts", 300, 0.5),
    _raw("prompts", 1000, 0.3),
]


def test_outside_the_measured_sizes_the_nearest_counts() -> None:
    """Recall falls with the size, so figures of another size would promise too much or too little."""
    streams = measured_streams({"streams": _SIZES})
    small, large = (expected_recall(streams, 12, entries) for entries in (0, 50_000))
    assert small is not None
    assert large is not None
    assert (small.lowest, small.highest) == pytest.approx((0.512, 0.612))
    assert (large.lowest, large.highest) == pytest.approx((0.312, 0.412))
    assert (small.terms, large.terms) == ((300, 334), (1000, 10_000))


def test_between_two_measured_sizes_it_is_interpolated() -> None:
    """On a logarithmic scale, as the thresholds are, and in whatever order the sizes stand."""
    for streams in (measured_streams({"streams": _SIZES[2:]}), measured_streams({"streams": _SIZES[:1:-1]})):
        halfway, measured = (expected_recall(streams, 12, entries) for entries in (548, 1000))
        assert halfway is not None
        assert measured is not None
        assert (halfway.terms, measured.terms) == ((300, 1000), (1000, 1000))
        assert (halfway.lowest, measured.lowest) == pytest.approx((0.412, 0.312), abs=0.001)


def test_what_was_measured_nearest_is_told_with_what_was_asked_for() -> None:
    """Beyond it nobody knows more than that fewer are found, or more."""
    streams = measured_streams({"streams": _SIZES})
    expected = [expected_recall(streams, per_hour, 300) for per_hour in (1, 12, 20, 600)]
    assert [each and each.per_hour for each in expected] == [12, 12, 20, 300]
    # Where one stream was asked for less than another, what both were asked for counts.
    wider = _raw("prompts", 300, 0.5, at_false_hints_asked_for={"1": {"recall": 0.2}, "60": {"recall": 0.6}})
    both = expected_recall(measured_streams({"streams": [_raw("novel", 300, 0.6), wider]}), 600, 300)
    assert both is not None
    assert (both.per_hour, both.lowest, both.highest) == pytest.approx((60, 0.6, 0.66))
    apart = _raw("prompts", 300, 0.5, at_false_hints_asked_for={"1": {"recall": 0.2}})
    assert expected_recall(measured_streams({"streams": [_raw("novel", 300, 0.6), apart]}), 12, 300) is None


def test_nothing_measured_promises_nothing() -> None:
    """A model that goes on with another's calibration has no account of its own."""
    assert measured_streams(None) == ()
    assert measured_streams({"streams": ["dev"]}) == ()
    assert measured_streams({"streams": [_raw("novel", 300, 0.5), _raw("prompts", 0, 0.5)]}) == ()
    assert measured_streams({}) == ()
    assert expected_recall((), 12, 300) is None


def test_an_odd_account_promises_nothing_and_stops_nothing() -> None:
    """Of numbers no computer has, or of more streams than anybody measured, which would hold the page up."""
    assert len(measured_streams({"streams": [_raw(f"novel {n}", 300, 0.5) for n in range(256)]})) == 256
    assert measured_streams({"streams": [_raw(f"novel {n}", 300, 0.5) for n in range(257)]}) == ()
    for changes in _ODD:
        assert measured_streams({"streams": [_raw("novel", 300, 0.5), {**_raw("novel", 300, 0.5), **changes}]}) == ()


def test_points_as_far_apart_as_can_be_are_interpolated() -> None:
    """Their quotient is no number any more."""
    asked = {"5e-324": {"recall": 0.2}, "1e308": {"recall": 0.8}}
    stream = MeasuredStream.from_json(_raw("novel", 300, 0.5, at_false_hints_asked_for=asked))
    assert 0.2 < stream.at(12) < 0.8


_ODD: list[dict[str, object]] = [
    {"terms": float("inf")},
    {"terms": 10**400},
    {"at_false_hints_asked_for": {"12": {"recall": 10**400}}},
    {"at_false_hints_asked_for": {"inf": {"recall": 0.5}}},
    {"at_false_hints_asked_for": {"nan": {"recall": 0.5}}},
    {"at_false_hints_asked_for": {str(n): {"recall": 0.5} for n in range(1, 66)}},
]


@pytest.mark.parametrize(
    "changes",
    [
        *_ODD,
        {"terms": 0},
        {"terms": None},
        {"at_false_hints_asked_for": {"12": {"recall": 1.5}}},
        {"at_false_hints_asked_for": {"0": {"recall": 0.5}}},
        {"at_false_hints_asked_for": {"12": {"recall": float("nan")}}},
        {"at_false_hints_asked_for": {}, "recall_at_false_hints_per_hour": {}},
    ],
)
def test_an_account_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    """What the page promises must come from figures."""
    with pytest.raises((KeyError, OverflowError, TypeError, ValueError)):
        MeasuredStream.from_json({**_raw("novel", 300, 0.5), **changes})
