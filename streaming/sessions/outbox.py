"""Events in, numbered wire messages out: what a session and `termcue listen --json` both say.

Messages get their `seq` here and nowhere else.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from streaming.events import Abstention, Event, Hint, HintWithdrawn
from streaming.protocol import (
    LatencyPart,
    Metadata,
    PercentilesPart,
    ServerMessage,
    TermMap,
    abstain_message,
    hint_message,
    latency_ms,
    seconds,
    speech_message,
    withdrawal_message,
)
from streaming.sessions.term_maps import ChunkTerms, TermMaps

# Latencies are counted in steps of 10 ms up to a minute, so that a stream of any length keeps at most 6000 counts.
_LATENCY_STEP_MS = 10
_LATENCY_CAP_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """Whose messages are written, in which language, and which kinds of event are told.

    With `term_map_ms`, hints are told as one `TermMap` for each chunk of so much audio.
    """

    session_id: str
    target_lang: str | None = None
    vad_events: bool = True
    abstain_events: bool = False
    term_map_ms: int | None = None


class Outbox:
    """Numbers the messages of one stream and sums it up; memory does not grow with its length."""

    def __init__(self, config: OutboxConfig) -> None:
        self._config = config
        self._next_seq = 0
        self._hints = 0
        self._abstentions: Counter[str] = Counter()
        self._latencies: Counter[int] = Counter()
        self._maps = None if config.term_map_ms is None else TermMaps(config.term_map_ms, config.target_lang)

    @property
    def hints(self) -> int:
        """Final hints so far."""
        return self._hints

    @property
    def abstentions(self) -> Mapping[str, int]:
        """Abstentions so far, by reason."""
        return dict(self._abstentions)

    def take_seq(self) -> int:
        """The number of the next message; each call takes one."""
        self._next_seq += 1
        return self._next_seq - 1

    def feed(self, events: Iterable[Event], spent: LatencyPart | None = None) -> list[ServerMessage]:
        """Events of the pipeline -> the messages that the listener asked for; all of them are counted.

        `spent` says what of the wall clock went into them.
        """
        events = list(events)
        told = [message for event in events if (message := self._message(event, spent)) is not None]
        return told if self._maps is None else [*told, *map(self._term_map, self._maps.feed(events))]

    def finish(self) -> list[ServerMessage]:
        """What is left to tell when the stream has ended."""
        return [] if self._maps is None else [self._term_map(chunk) for chunk in self._maps.finish()]

    def metadata(self, received_samples: int, *, from_close: bool) -> Metadata:
        """The sum of the stream after `received_samples` of audio."""
        return Metadata(
            seq=self.take_seq(),
            session_id=self._config.session_id,
            duration=seconds(received_samples),
            hints=self._hints,
            abstained_windows=self._abstentions.total(),
            from_close=from_close,
            latency_ms=PercentilesPart(p50=self._percentile(50), p95=self._percentile(95)) if self._hints else None,
        )

    def _message(self, event: Event, spent: LatencyPart | None) -> ServerMessage | None:
        if isinstance(event, Hint):
            if event.is_final:
                self._hints += 1
                self._latencies[min(latency_ms(event), _LATENCY_CAP_MS) // _LATENCY_STEP_MS] += 1
            if self._maps is not None:
                return None
            return hint_message(event, seq=self.take_seq(), target_lang=self._config.target_lang, spent=spent)
        if isinstance(event, HintWithdrawn):
            return None if self._maps is not None else withdrawal_message(event, seq=self.take_seq())
        if isinstance(event, Abstention):
            self._abstentions[event.reason] += 1
            return abstain_message(event, seq=self.take_seq()) if self._config.abstain_events else None
        return speech_message(event, seq=self.take_seq()) if self._config.vad_events else None

    def _term_map(self, chunk: ChunkTerms) -> TermMap:
        start, end = seconds(chunk.start_sample), seconds(chunk.end_sample)
        return TermMap(seq=self.take_seq(), start=start, end=end, terms=chunk.terms)

    def _percentile(self, percent: int) -> int:
        """Nearest-rank percentile of the latencies in milliseconds, to the step; there must be a hint."""
        rank = -(-self._hints * percent // 100)
        steps = sorted(self._latencies)
        counted = accumulate(self._latencies[step] for step in steps)
        return next(step for step, count in zip(steps, counted, strict=True) if count >= rank) * _LATENCY_STEP_MS
