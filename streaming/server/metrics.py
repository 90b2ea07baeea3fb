"""What a server tells of itself, in the text format of Prometheus."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from streaming.session import SessionCounts

__all__ = ["CONTENT_TYPE_LATEST", "ServerMetrics"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BATCHES = (1, 2, 3, 4, 6, 8)


class ServerMetrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._sessions = Gauge("termcue_sessions", "Sessions with a client", registry=registry)
        self._parked = Gauge("termcue_sessions_parked", "Sessions whose clients may come back", registry=registry)
        self._opened = Counter("termcue_sessions_opened", "Sessions opened", registry=registry)
        self._resumed = Counter("termcue_sessions_resumed", "Sessions taken up again", registry=registry)
        self._refused = Counter("termcue_refused", "Clients refused or dismissed", ["code"], registry=registry)
        self._hints = Counter("termcue_hints", "Final hints", registry=registry)
        self._abstentions = Counter("termcue_abstentions", "Hops without a hint", ["reason"], registry=registry)
        self._dropped = Counter("termcue_dropped_windows", "Windows left out because of load", registry=registry)
        self._feedback = Counter("termcue_feedback", "Verdicts of listeners", ["verdict"], registry=registry)
        self._audio = Counter("termcue_audio_seconds", "Audio taken in", registry=registry)
        self._stages = Histogram(
            "termcue_stage_seconds", "Time of a frame in each stage", ["stage"], buckets=_SECONDS, registry=registry
        )
        self._work = Histogram("termcue_work_seconds", "Work on one frame", buckets=_SECONDS, registry=registry)
        self._lag = Histogram(
            "termcue_lag_seconds", "Lag of audio being worked on", buckets=_SECONDS, registry=registry
        )
        self._batches = Histogram(
            "termcue_batch_contexts", "Contexts encoded together", buckets=_BATCHES, registry=registry
        )
        memory = Gauge("termcue_memory_bytes", "Resident memory of the process", registry=registry)
        memory.set_function(_resident_bytes)

    def watch(self, sessions: Callable[[], int], parked: Callable[[], int]) -> None:
        """Ask these for the numbers of sessions whenever somebody looks."""
        self._sessions.set_function(sessions)
        self._parked.set_function(parked)

    def opened(self, *, resumed: bool) -> None:
        """A session was opened or taken up."""
        (self._resumed if resumed else self._opened).inc()

    def refused(self, code: str) -> None:
        """A client was sent away with this error."""
        self._refused.labels(code).inc()

    def worked(self, work_s: float, lag_s: float, audio_s: float) -> None:
        """A frame of audio was worked on."""
        self._work.observe(work_s)
        self._lag.observe(lag_s)
        self._audio.inc(audio_s)

    def batched(self, contexts: int) -> None:
        """Contexts were encoded together."""
        self._batches.observe(contexts)

    def counted(self, before: SessionCounts, after: SessionCounts) -> None:
        """What a session said between two looks."""
        self._hints.inc(after.hints - before.hints)
        self._dropped.inc(after.dropped_windows - before.dropped_windows)
        _add(self._abstentions, before.abstentions, after.abstentions)
        _add(self._feedback, before.feedback, after.feedback)

    def spent(self, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """The time that a session spent on a frame between two looks, by stage."""
        for stage, total_s in after.items():
            if (spent_s := total_s - before.get(stage, 0.0)) > 0:
                self._stages.labels(stage).observe(spent_s)

    def text(self) -> bytes:
        """All of it, as `CONTENT_TYPE_LATEST`."""
        return generate_latest(self._registry)


def _add(counter: Counter, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    for name, value in after.items():
        if value > before.get(name, 0):
            counter.labels(name).inc(value - before.get(name, 0))


def _resident_bytes() -> float:
    """Of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
