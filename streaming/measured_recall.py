"""What the account of a model's calibration lets one expect: of the terms said, the share that is found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# An account beyond these is not one that a calibration writes, and would hold the page up.
_MOST_STREAMS = 256
_MOST_POINTS = 64
_MOST_TERMS = 10**9


@dataclass(frozen=True, slots=True)
class MeasuredStream:
    """One development stream with one glossary, heard with a calibration of other voices.

    Attributes:
        name: of the stream.
        terms: in the glossary.
        recall: false hints an hour asked for, rising -> the share of the spoken terms that was hinted, 0 to 1.
    """

    name: str
    terms: int
    recall: Mapping[float, float]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "MeasuredStream":
        """One of the report's `streams`: what came of asking, or, where nobody asked, of the best threshold.

        Raises:
            AttributeError, KeyError, OverflowError, TypeError, ValueError: for something else.
        """
        asked = raw.get("at_false_hints_asked_for")
        found = (
            {float(per_hour): float(got["recall"]) for per_hour, got in asked.items()}
            if asked
            else {float(per_hour): float(share) for per_hour, share in raw["recall_at_false_hints_per_hour"].items()}
        )
        terms = int(raw["terms"])
        # What is not a number fails every comparison.
        are_points = all(0 < per_hour < math.inf and 0 <= share <= 1 for per_hour, share in found.items())
        if not 1 <= terms <= _MOST_TERMS or not 1 <= len(found) <= _MOST_POINTS or not are_points:
            raise ValueError(f"stream {raw['stream']!r}")
        return cls(str(raw["stream"]), terms, dict(sorted(found.items())))

    def at(self, per_hour: float) -> float:
        """Between what was asked for on a logarithmic scale, outside it the nearest."""
        return _interpolated(self.recall, per_hour)


@dataclass(frozen=True, slots=True)
class ExpectedRecall:
    """What is found at `per_hour`, of the stream of which least is found and of that of which most is.

    `per_hour` are the false hints an hour nearest to those asked for within what was measured, and `terms` how many the
    glossaries of that measurement held, fewest and most.
    """

    lowest: float
    highest: float
    terms: tuple[int, int]
    per_hour: float


def measured_streams(report: Mapping[str, Any] | None) -> tuple[MeasuredStream, ...]:
    """Of a model folder's `calibration_report`; none of a folder without one, or with one in another version's form.

    An account is nothing that a model needs to be served, so one that cannot be read promises nothing.
    """
    try:
        streams = [] if report is None else report["streams"]
        return tuple(MeasuredStream.from_json(each) for each in streams) if len(streams) <= _MOST_STREAMS else ()
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return ()


def expected_recall(streams: Sequence[MeasuredStream], per_hour: float, entries: int) -> ExpectedRecall | None:
    """With a glossary of so many entries; None where nothing was measured of all streams alike.

    Between the measured sizes of a stream it is interpolated on a logarithmic scale; outside them, the nearest counts.

    Args:
        streams: of one model.
        per_hour: false hints an hour asked for, above 0.
        entries: in the glossary; an empty one counts as one entry.
    """
    entries = max(1, entries)
    by_name: dict[str, list[MeasuredStream]] = {}
    for each in sorted(streams, key=lambda stream: stream.terms):
        by_name.setdefault(each.name, []).append(each)
    near = [_around(sizes, entries) for sizes in by_name.values()]
    used = [each for pair in near for each in pair]
    fewest = max((min(each.recall) for each in used), default=math.inf)
    most = min((max(each.recall) for each in used), default=0.0)
    if fewest > most:
        return None
    measured = min(max(per_hour, fewest), most)
    found = [_interpolated({each.terms: each.at(measured) for each in pair}, entries) for pair in near]
    terms = [each.terms for each in used]
    return ExpectedRecall(min(found), max(found), (min(terms), max(terms)), measured)


def _around(sizes: Sequence[MeasuredStream], entries: int) -> Sequence[MeasuredStream]:
    """Of one stream with glossaries of rising size, those next to a size: below it and above it, where there are."""
    at_most = [each for each in sizes if each.terms <= entries]
    at_least = [each for each in sizes if each.terms >= entries]
    return [*at_most[-1:], *at_least[:1]]


def _interpolated(points: Mapping[float, float], where: float) -> float:
    """Between rising points above 0 on a logarithmic scale, outside them the nearest."""
    # Of logarithms and not of quotients, which can be larger than any number.
    return float(np.interp(math.log(where), [math.log(point) for point in points], list(points.values())))
