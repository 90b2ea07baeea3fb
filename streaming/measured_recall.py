"""What the account of a model's calibration lets one expect: of the terms said, the share that is found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


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
            KeyError, TypeError, ValueError: for something else.
        """
        asked = raw.get("at_false_hints_asked_for")
        found = (
            {float(per_hour): float(got["recall"]) for per_hour, got in asked.items()}
            if asked
            else {float(per_hour): float(share) for per_hour, share in raw["recall_at_false_hints_per_hour"].items()}
        )
        terms = int(raw["terms"])
        if terms < 1 or not found or min(found) <= 0 or not all(0 <= share <= 1 for share in found.values()):
            raise ValueError(f"stream {raw['stream']!r}")
        return cls(str(raw["stream"]), terms, dict(sorted(found.items())))

    def at(self, per_hour: float) -> float:
        """Between what was asked for on a logarithmic scale, outside it the nearest."""
        points = list(self.recall.items())
        for (low, found_low), (high, found_high) in pairwise(points):
            if low <= per_hour <= high:
                share = math.log(per_hour / low) / math.log(high / low)
                return found_low + share * (found_high - found_low)
        return points[0][1] if per_hour < points[0][0] else points[-1][1]


@dataclass(frozen=True, slots=True)
class ExpectedRecall:
    """The stream of which least is found and that of which most is; `terms` are the glossaries' fewest and most."""

    lowest: float
    highest: float
    terms: tuple[int, int]


def measured_streams(report: Mapping[str, Any] | None) -> tuple[MeasuredStream, ...]:
    """Of a model folder's `calibration_report`; none of a folder without one, or with one in another version's form.

    An account is nothing that a model needs to be served, so one that cannot be read promises nothing.
    """
    try:
        return () if report is None else tuple(MeasuredStream.from_json(each) for each in report["streams"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def expected_recall(streams: Sequence[MeasuredStream], per_hour: float, entries: int) -> ExpectedRecall | None:
    """With a glossary of so many entries: each stream with the glossary nearest in size; None without a stream.

    Args:
        streams: of one model.
        per_hour: false hints an hour asked for, above 0.
        entries: in the glossary, 1 or more; an empty one counts as one entry.
    """
    nearest: dict[str, MeasuredStream] = {}
    for each in streams:
        before = nearest.get(each.name)
        if before is None or _away(each, entries) < _away(before, entries):
            nearest[each.name] = each
    if not nearest:
        return None
    found = [each.at(per_hour) for each in nearest.values()]
    terms = [each.terms for each in nearest.values()]
    return ExpectedRecall(min(found), max(found), (min(terms), max(terms)))


def _away(stream: MeasuredStream, entries: int) -> float:
    return abs(math.log(stream.terms / max(1, entries)))
