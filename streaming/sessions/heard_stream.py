"""The stream of one session: its audio on the way through the pipeline, and all that is said of it.

It knows nothing of the connection that the stream comes by, nor of how that ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from streaming.events import Event
from streaming.pacing import Pacer
from streaming.protocol import (
    FINALIZE_MARKER,
    ClientMessage,
    CloseStream,
    Configure,
    Feedback,
    Finalize,
    LatencyPart,
    Marker,
    ServerMessage,
)
from streaming.sessions.feedback import FeedbackCount
from streaming.sessions.hint_pipeline import HintPipeline
from streaming.sessions.listening import Listening
from streaming.sessions.outbox import Outbox, OutboxConfig
from streaming.sessions.replies import Replies
from streaming.sessions.served_glossary import ServedGlossary
from streaming.sessions.session_settings import SessionSettings
from streaming.sessions.whole_frames import WholeFrames

# While it is behind, a session says how far once in so much audio.
_LAG_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """What a session has said and left out so far; abstentions by reason, feedback by verdict."""

    hints: int
    abstentions: Mapping[str, int]
    dropped_windows: int
    feedback: Mapping[str, int]


class HeardStream:
    """Bytes and messages of a client in, numbered messages out.

    `frames` counts the audio; `listening` is what decides at the moment, and follows what is `served`; `outbox` numbers
    all messages of the session, also those that its connection adds by `replies`.
    """

    def __init__(
        self,
        session_id: str,
        settings: SessionSettings,
        glossary: ServedGlossary,
        pipeline: HintPipeline,
        served: Mapping[str, ServedGlossary],
    ) -> None:
        self.frames = WholeFrames(settings.format)
        self.listening = Listening.of(settings, glossary)
        self.outbox = Outbox(
            OutboxConfig(
                session_id=session_id,
                target_lang=settings.target_lang,
                vad_events=settings.vad_events,
                abstain_events=settings.abstain_events,
                term_map_ms=settings.term_map_ms,
            )
        )
        self.replies = Replies(self.outbox)
        self._served = served
        self._pipeline = pipeline
        self._pacer = Pacer()
        self._lag_told_s = 0.0
        self._feedback = FeedbackCount()

    @property
    def counts(self) -> SessionCounts:
        """What was said so far."""
        return SessionCounts(
            self.outbox.hints, self.outbox.abstentions, self._pipeline.dropped_windows, self._feedback.verdicts
        )

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds spent in each stage of the pipeline so far."""
        return self._pipeline.stage_seconds

    def feed(self, chunk: bytes) -> list[ServerMessage]:
        """Bytes of any length -> what can be told by now."""
        before = self._pipeline.stage_seconds
        events = self._pipeline.feed(self.frames.take(chunk))
        return self._told(events, self._spent_since(before))

    def answer(self, message: ClientMessage) -> list[ServerMessage]:
        """Do what the client asks for; raises RejectedMessage, with nothing done, where that cannot be."""
        match message:
            case Configure():
                return self._configure(message)
            case Marker():
                return [self._marker(message.id)]
            case Finalize():
                return [*self._told(self._pipeline.flush()), self._marker(FINALIZE_MARKER)]
            case Feedback():
                self._feedback.take(message)
                return []
            case CloseStream():
                return self._finish()
            case _:
                # KeepAlive: that it came is all it says.
                return []

    def follow(self) -> list[ServerMessage]:
        """Move to the version of the glossary that is served now."""
        return self._listen(self.listening.followed(self._served))

    def pace(self, lag_s: float, queued_s: float) -> list[ServerMessage]:
        """Give up what must be at this lag, with `queued_s` of audio that waits, or take it back; say so."""
        received_s = self.frames.duration_s
        before = self._pacer.pace
        pace = self._pacer.update(lag_s, received_s)
        has_changed = pace != before
        is_due = pace.state != "ok" and received_s - self._lag_told_s >= _LAG_EVERY_S
        if not (has_changed or is_due):
            return []
        self._lag_told_s = received_s
        told: list[ServerMessage] = []
        if has_changed:
            self._pipeline.pace(pace)
            code = "degraded_hop" if pace > before else "restored_hop"
            caught_up = ", which is more than before" if code == "restored_hop" and pace.state != "ok" else ""
            told.append(self.replies.warning(code, f"{lag_s:.1f} s behind: {pace.words}{caught_up}"))
        lag = self.replies.lag(lag_s, received_s, queued_s, self._pipeline.dropped_windows, pace.state)
        return [*told, lag]

    def _finish(self) -> list[ServerMessage]:
        last = [*self._told(self._pipeline.finish()), *self.outbox.finish()]
        return [*last, self.outbox.metadata(self._pipeline.received_samples, from_close=True)]

    def _configure(self, message: Configure) -> list[ServerMessage]:
        """Apply all of `message` or, by raising RejectedMessage, nothing."""
        changed = self.listening.configured(message, self._served)
        return [self.replies.configured(message.request_id, changed), *self._listen(changed)]

    def _listen(self, changed: Listening) -> list[ServerMessage]:
        """Listen for what is in `changed` from the next hop on; what the client is told of another index."""
        before, self.listening = self.listening, changed
        if changed is before:
            return []
        told: list[ServerMessage] = []
        if changed.glossary is not before.glossary:
            effective_sample = changed.glossary.take_over(self._pipeline)
            told.append(self.replies.glossary_updated(before, changed, effective_sample))
        self._pipeline.configure(changed.decision)
        return told

    def _told(self, events: list[Event], spent: LatencyPart | None = None) -> list[ServerMessage]:
        messages = self.outbox.feed(events, spent)
        self._feedback.told(messages)
        return messages

    def _spent_since(self, before: Mapping[str, float]) -> LatencyPart:
        after = self._pipeline.stage_seconds
        encode, score = (round(1000 * (after[stage] - before[stage])) for stage in ("encode", "score"))
        return LatencyPart(since_term_end=0, encode=encode or None, score=score or None)

    def _marker(self, marker_id: str) -> ServerMessage:
        return self.replies.marker(marker_id, self._pipeline.received_samples)
