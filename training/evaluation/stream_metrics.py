"""Hints of a long stream against its reference: recall, false hints per hour, latency on the audio clock.

A hint is right if its term occurs within `tolerance_s` of its span; neutral if it repeats an occurrence already found
or an inflected variant is spoken there; otherwise false. Latency is emission minus the reference end of the term.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One spoken term of the reference, in seconds."""

    term: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What a stream holds: occurrences of glossary terms and every word (text, start, end), in seconds."""

    duration_s: float
    occurrences: tuple[Occurrence, ...]
    words: tuple[tuple[str, float, float], ...]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Reference":
        """From a stream's JSON (`duration_s`, `occurrences`, `words`)."""
        return cls(
            float(raw["duration_s"]),
            tuple(Occurrence(str(o["term"]), float(o["start"]), float(o["end"])) for o in raw["occurrences"]),
            tuple((str(w), float(a), float(b)) for w, a, b in raw["words"]),
        )


@dataclass(frozen=True, slots=True)
class TimedHint:
    """A hint as far as it is judged, in seconds."""

    term: str
    start: float
    end: float
    emitted: float


@dataclass(frozen=True, slots=True)
class StreamScore:
    """The figures of one stream; latencies in seconds, NaN where nothing was found.

    `expected_false` is how many hints their probabilities made one expect to be false; 0 where they had none.
    """

    occurrences: int
    found: int
    false: int
    neutral: int
    hours: float
    latencies: tuple[float, ...]
    expected_false: float = 0.0

    @property
    def recall(self) -> float:
        """Share of occurrences found."""
        return self.found / max(1, self.occurrences)

    @property
    def precision(self) -> float:
        """Share of right hints among right and false ones."""
        return self.found / max(1, self.found + self.false)

    @property
    def false_per_hour(self) -> float:
        """False hints per hour of the stream."""
        return self.false / self.hours

    def latency(self, quantile: float) -> float:
        """A quantile of the latencies."""
        return float(np.quantile(self.latencies, quantile)) if self.latencies else float("nan")


def is_variant(a: str, b: str) -> bool:
    """Two words of one stem: a common beginning of at least 4 letters and most of both."""
    common = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        common += 1
    return common >= max(4, min(len(a), len(b)) - 3) and common >= 0.6 * max(len(a), len(b))


def _spoken_variant(term: str, near: Sequence[str]) -> bool:
    if all(any(word == token or is_variant(token, word) for word in near) for token in term.split()):
        return True
    return term.replace(" ", "") in "".join(near)


class Judge:
    """Labels hints of one stream one by one, in the order of emission; remembers which occurrences are found."""

    def __init__(self, reference: Reference, tolerance_s: float = 0.75) -> None:
        self._reference, self._tolerance = reference, tolerance_s
        self._by_term: dict[str, list[int]] = {}
        for i, occurrence in enumerate(reference.occurrences):
            self._by_term.setdefault(occurrence.term.lower(), []).append(i)
        self._found: set[int] = set()
        self._starts = np.array([start for _, start, _ in reference.words])
        self._longest = max((end - start for _, start, end in reference.words), default=0.0)

    def judge(self, hint: TimedHint) -> tuple[str, float]:
        """("right", latency), ("neutral", nan) or ("false", nan)."""
        verdict, occurrence = self._weigh(hint)
        if occurrence is None:
            return verdict, float("nan")
        self._found.add(occurrence)
        return verdict, hint.emitted - self._reference.occurrences[occurrence].end

    def verdict(self, hint: TimedHint) -> str:
        """As `judge`, but the occurrence is not remembered as found."""
        return self._weigh(hint)[0]

    def _weigh(self, hint: TimedHint) -> tuple[str, int | None]:
        start, end = hint.start - self._tolerance, hint.end + self._tolerance
        term = hint.term.lower()
        occurrences = self._reference.occurrences
        meeting = [i for i in self._by_term.get(term, ()) if occurrences[i].start < end and occurrences[i].end > start]
        fresh = [i for i in meeting if i not in self._found]
        if fresh:
            return "right", fresh[0]
        if meeting:
            return "neutral", None
        first = int(np.searchsorted(self._starts, start - self._longest))
        last = int(np.searchsorted(self._starts, end))
        near = [w for w, a, b in self._reference.words[first:last] if a < end and b > start]
        return ("neutral" if _spoken_variant(term, near) else "false"), None


def score_stream(reference: Reference, hints: Sequence[TimedHint]) -> StreamScore:
    """Judge all hints of a stream."""
    judge = Judge(reference)
    verdicts = [judge.judge(hint) for hint in sorted(hints, key=lambda h: h.emitted)]
    return StreamScore(
        occurrences=len(reference.occurrences),
        found=sum(v == "right" for v, _ in verdicts),
        false=sum(v == "false" for v, _ in verdicts),
        neutral=sum(v == "neutral" for v, _ in verdicts),
        hours=reference.duration_s / 3600,
        latencies=tuple(sorted(latency for v, latency in verdicts if v == "right")),
    )
