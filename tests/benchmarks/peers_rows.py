"""Figures of one peer on one stream with one glossary."""

from dataclasses import dataclass, replace
from typing import Any

from tests.benchmarks.peers_matching import Sighting
from training.evaluation.stream_metrics import Reference, score_stream


@dataclass(frozen=True, slots=True)
class Heard:
    """What a peer made of a stream.

    `heard_s` is less than the stream has if it was given up; `cpu_s` is the process's own computing from the first
    byte to the last, `load_s` that before; `unit_ms` is U where the peer has an encoder of ours.
    """

    sightings: tuple[Sighting, ...]
    heard_s: float
    cpu_s: float
    load_s: float
    peak_mb: float
    unit_ms: float | None = None
    note: str = ""


def cut_reference(reference: Reference, seconds: float) -> Reference:
    """The reference of the first so many seconds: a term counts if it ends there, a word is heard if it begins there."""
    if seconds >= reference.duration_s:
        return reference
    return Reference(
        seconds,
        tuple(o for o in reference.occurrences if o.end <= seconds),
        tuple(w for w in reference.words if w[1] < seconds),
    )


def row_of(peer: str, stream: str, entries: int, reference: Reference, heard: Heard) -> dict[str, Any]:
    """The row of a peer, judged on what it heard. Figures that do not exist are None."""
    part = cut_reference(reference, heard.heard_s)
    score = score_stream(part, [sighting.hint for sighting in heard.sightings])
    # The same hints, seen when they were computed.
    seen = [replace(s.hint, emitted=s.hint.emitted + s.computing_s) for s in heard.sightings]
    late = score_stream(part, seen)
    cpu_per_s = heard.cpu_s / heard.heard_s
    row = {
        "peer": peer,
        "stream": stream,
        "entries": entries,
        "minutes": heard.heard_s / 60,
        "occurrences": score.occurrences,
        "found": score.found,
        "false": score.false,
        "neutral": score.neutral,
        "recall": score.recall,
        "precision": score.precision,
        "false_per_hour": score.false_per_hour,
        "latency_p50": score.latency(0.5),
        "latency_p95": score.latency(0.95),
        "computed_p50": late.latency(0.5),
        "computed_p95": late.latency(0.95),
        "cpu_per_s": cpu_per_s,
        "load_cpu_s": heard.load_s,
        "unit_ms": heard.unit_ms,
        "units_per_s": None if heard.unit_ms is None else cpu_per_s * 1000 / heard.unit_ms,
        "peak_mb": heard.peak_mb,
        "note": heard.note,
    }
    return {name: _shown(value) for name, value in row.items()}


def _shown(value: object) -> object:
    if not isinstance(value, float):
        return value
    return round(value, 4) if value == value else None
