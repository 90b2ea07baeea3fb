"""One connection of the wire protocol as a state machine: frames in, messages out, no I/O.

The shell gives every incoming frame to `receive_audio` or `receive_text`, the time to `tick`, its lag to `pace`, and
does with the outputs what they say, in their order: a message is sent, a `Close` is the last and closes the connection.
A session outlives its connection: `resumed` tells a client that comes back what it missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streaming.errors import SettingError
from streaming.events import Event
from streaming.pacing import Pacer, PaceState
from streaming.protocol import (
    FINALIZE_MARKER,
    ClientMessage,
    CloseCode,
    CloseStream,
    Configure,
    Configured,
    Error,
    Feedback,
    Finalize,
    GlossaryUpdated,
    Lag,
    LatencyPart,
    Limits,
    Marker,
    MarkerReached,
    RejectedMessage,
    ServerMessage,
    Warning,
    decode_client,
    seconds,
)
from streaming.sessions.closing import Close, Output, frame_too_big, refusal
from streaming.sessions.event_ring import EventRing
from streaming.sessions.feedback import FeedbackCount
from streaming.sessions.greeting import Greeter
from streaming.sessions.listening import Listening
from streaming.sessions.outbox import Outbox, OutboxConfig
from streaming.sessions.session_settings import (
    HintPipeline,
    RefusedSession,
    ServedGlossary,
    SessionSettings,
    resume_of,
    settings_of_query,
)

__all__ = [
    "Close",
    "HintPipeline",
    "Output",
    "ServedGlossary",
    "Session",
    "SessionCounts",
    "SessionSettings",
    "frame_too_big",
    "open_session",
    "refusal",
    "resume_of",
]

# Answers repeat ids and lists of their questions, and are kept for clients that come back.
_LONGEST_TEXT = 32_768
# While it is behind, a session says how far once in so much audio.
_LAG_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """What a session has said and left out so far; abstentions by reason, feedback by verdict."""

    hints: int
    abstentions: Mapping[str, int]
    dropped_windows: int
    feedback: Mapping[str, int]


def open_session(
    query: str,
    served: Mapping[str, ServedGlossary],
    *,
    session_id: str,
    limits: Limits,
    resume_token: str | None = None,
) -> tuple["Session | None", list[Output]]:
    """Open the session that the address asks for.

    Args:
        query: the part of the address after "?".
        served: the glossaries that may be asked for, by id, as they are at any time: one that is replaced in it is
            listened for by the session from its next hop on.
        session_id: name of the session, of the caller's making.
        limits: what the session announces and enforces.
        resume_token: with which a client may take the session up again.

    Returns:
        The session and its greeting, or None and the refusal.
    """
    try:
        settings, glossary = settings_of_query(query, served)
        pipeline = glossary.open(settings)
    except RefusedSession as refused:
        return None, [*refusal(refused.code, refused.close_code, str(refused), field=refused.field)]
    except SettingError as error:
        return None, [*refusal("invalid_config", CloseCode.CONFIG, str(error))]
    session = Session(session_id, settings, glossary, pipeline, limits, served, resume_token)
    return session, session.greeting()


class Session:
    """An open session; once it is `closed`, further frames give nothing. `is_complete`: by `CloseStream`.

    Not safe for concurrent use: the shell calls it for one frame after the other.
    """

    def __init__(
        self,
        session_id: str,
        settings: SessionSettings,
        glossary: ServedGlossary,
        pipeline: HintPipeline,
        limits: Limits,
        served: Mapping[str, ServedGlossary] | None = None,
        resume_token: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.closed = self.is_complete = False
        self.settings = settings
        self._greeter = Greeter(session_id, settings, limits, resume_token)
        self._listening = Listening.of(settings, glossary)
        self._served = {settings.glossary: glossary} if served is None else served
        self._pipeline = pipeline
        self._limits = limits
        self._outbox = Outbox(
            OutboxConfig(
                session_id=session_id,
                target_lang=settings.target_lang,
                vad_events=settings.vad_events,
                abstain_events=settings.abstain_events,
                term_map_ms=settings.term_map_ms,
            )
        )
        self._ring = EventRing()
        self._pacer = Pacer()
        self._lag_told_s = 0.0
        self._feedback = FeedbackCount()
        self._fed_bytes = 0
        self._split = b""
        self._heard_since_tick = True
        self._last_heard_s = 0.0

    @property
    def limits(self) -> Limits:
        """What it announces and enforces."""
        return self._limits

    @property
    def received_frames(self) -> int:
        """PCM frames taken in so far, at the client's own rate."""
        return self._fed_bytes // self.settings.format.bytes_per_frame

    @property
    def received_s(self) -> float:
        """Seconds of audio taken in so far."""
        return self.received_frames / self.settings.format.sample_rate

    @property
    def last_seq(self) -> int:
        """Number of the last message; -1 before the first."""
        return self._ring.last_seq

    @property
    def counts(self) -> SessionCounts:
        """What it has said so far."""
        return SessionCounts(
            self._outbox.hints, self._outbox.abstentions, self._pipeline.dropped_windows, self._feedback.verdicts
        )

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds spent in each stage of the pipeline so far."""
        return self._pipeline.stage_seconds

    def greeting(self) -> list[Output]:
        """`Begin`, and a warning where the client has yet to choose between translations. Call it once, first."""
        told: list[Output] = [self._greeter.begin(self._outbox.take_seq(), self._listening)]
        if (message := self._greeter.missing_choice(self._listening)) is not None:
            told.append(self._warning("no_target_lang", message))
        return self._kept(told)

    def remembers(self, last_seq: int) -> bool:
        """Whether a client that has the messages up to `last_seq` can be told all others; from any thread."""
        return (not self.closed or self.is_complete) and self._ring.reaches(last_seq)

    def resumed(self, last_seq: int) -> list[Output]:
        """A client is there again that has the messages up to `last_seq`: those it missed, then `Begin`.

        That greeting is not numbered, so that it is never told twice. A stream that was closed meanwhile ends with
        what was missed. Where the messages are forgotten the client is refused; the session stays as it is.
        """
        missed = self._ring.after(last_seq) if self.remembers(last_seq) else None
        if missed is not None and self.closed:
            return [*missed, Close(CloseCode.NORMAL, "")]
        if missed is None:
            message = f"what was said after message {last_seq} is forgotten: open a new session"
            return [*refusal("resume_expired", CloseCode.RESUME_EXPIRED, message, seq=max(0, self.last_seq))]
        self._heard_since_tick = True
        # The client sends again from a whole frame on.
        self._split = b""
        return [*missed, self._greeter.begin(self.last_seq, self._listening, self.received_frames)]

    def receive_audio(self, chunk: bytes) -> list[Output]:
        """A binary frame: s16le bytes of any length, cut anywhere."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(chunk) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        moved = self._follow()
        if not chunk:
            message = "an empty frame is no end of the stream: send CloseStream to end it"
            return self._kept([*moved, self._warning("empty_frame", message)])
        chunk = self._split + chunk
        whole = len(chunk) - len(chunk) % self.settings.format.bytes_per_frame
        chunk, self._split = chunk[:whole], chunk[whole:]
        self._fed_bytes += whole
        before = self._pipeline.stage_seconds
        events = self._pipeline.feed(chunk)
        return self._kept([*moved, *self._told(events, self._spent_since(before))])

    def receive_text(self, text: str) -> list[Output]:
        """A text frame: a JSON message. One that breaks the protocol is answered with a non-fatal error."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(text) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        moved = self._follow()
        try:
            if len(text) > _LONGEST_TEXT:
                reason = f"a message has at most {_LONGEST_TEXT} characters, this one {len(text)}"
                raise RejectedMessage("message_too_long", reason)
            return self._kept([*moved, *self._answer(decode_client(text))])
        except RejectedMessage as rejected:
            return self._kept([*moved, self._rejection(rejected)])

    def tick(self, now_s: float) -> list[Output]:
        """The time, from any origin, whenever no frame waits; a client silent for too long loses its connection.

        The session itself can be taken up again, so that goodbye is not numbered.
        """
        if self._heard_since_tick:
            self._heard_since_tick = False
            self._last_heard_s = now_s
        if self.closed or now_s - self._last_heard_s < self._limits.idle_timeout_s:
            return []
        message = (
            f"nothing came for {self._limits.idle_timeout_s:g} s: send audio or KeepAlive, or end with CloseStream"
        )
        return [*refusal("idle", CloseCode.IDLE, message, seq=max(0, self.last_seq))]

    def pace(self, lag_s: float, queued_s: float = 0.0) -> list[Output]:
        """How far the session is behind the wall clock, with `queued_s` of audio that waits: it gives up what it must.

        First it decides less often, then it leaves out windows and counts them; it takes that back in time.
        """
        before = self._pacer.pace
        pace = self._pacer.update(lag_s, self.received_s)
        has_changed = pace != before
        is_due = pace.state != "ok" and self.received_s - self._lag_told_s >= _LAG_EVERY_S
        if self.closed or not (has_changed or is_due):
            return []
        self._lag_told_s = self.received_s
        told: list[Output] = []
        if has_changed:
            self._pipeline.pace(pace)
            code = "degraded_hop" if pace > before else "restored_hop"
            told.append(self._warning(code, f"{lag_s:.1f} s behind: {pace.words}"))
        return self._kept([*told, self._lag(lag_s, queued_s, pace.state)])

    def overflowed(self, times: int) -> list[Output]:
        """Frames had to wait before they could be queued, `times` in all so far; none is lost."""
        message = f"audio comes faster than it is worked on; the server paused reading ({times} so far), none is lost"
        return self.warn("backpressure", message)

    def warn(self, code: str, message: str) -> list[Output]:
        """Tell the client of something unusual."""
        return [] if self.closed else self._kept([self._warning(code, message)])

    def fail(self, code: str, close_code: CloseCode, message: str, retry_after_s: float | None = None) -> list[Output]:
        """End the session abnormally."""
        if self.closed:
            return []
        self.closed = True
        return [*refusal(code, close_code, message, seq=self._outbox.take_seq(), retry_after_s=retry_after_s)]

    def _kept(self, outputs: Sequence[Output]) -> list[Output]:
        """The outputs, kept for a client that has to come back."""
        messages = [output for output in outputs if isinstance(output, ServerMessage)]
        self._ring.add(messages)
        self._feedback.told(messages)
        return [*outputs]

    def _spent_since(self, before: Mapping[str, float]) -> LatencyPart:
        after = self._pipeline.stage_seconds
        encode, score = (round(1000 * (after[stage] - before[stage])) for stage in ("encode", "score"))
        return LatencyPart(since_term_end=0, encode=encode or None, score=score or None)

    def _lag(self, lag_s: float, queued_s: float, state: PaceState) -> Lag:
        return Lag(
            seq=self._outbox.take_seq(),
            audio_received_s=round(self.received_s + queued_s, 3),
            audio_processed_s=round(self.received_s, 3),
            lag_s=round(lag_s, 3),
            dropped_windows=self._pipeline.dropped_windows,
            state=state,
        )

    def _rejection(self, rejected: RejectedMessage) -> Error:
        return Error(
            seq=self._outbox.take_seq(),
            code=rejected.code,
            close_code=CloseCode.CONFIG,
            fatal=False,
            message=str(rejected),
            field=rejected.field,
            request_id=rejected.request_id,
        )

    def _refuse_frame(self) -> list[Output]:
        self.closed = True
        return [*frame_too_big(self._limits, seq=self._outbox.take_seq())]

    def _answer(self, message: ClientMessage) -> list[Output]:
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
                last = [*self._told(self._pipeline.finish()), *self._outbox.finish()]
                self.closed = self.is_complete = True
                metadata = self._outbox.metadata(self._pipeline.received_samples, from_close=True)
                return [*last, metadata, Close(CloseCode.NORMAL, "")]
            case _:
                # KeepAlive: that it came is all it says.
                return []

    def _configure(self, message: Configure) -> list[Output]:
        """Apply all of `message` or, by raising RejectedMessage, nothing."""
        changed = self._listening.configured(message, self._served)
        configured = Configured(seq=self._outbox.take_seq(), request_id=message.request_id, effective=changed.effective)
        return [configured, *self._listen(changed)]

    def _follow(self) -> list[Output]:
        """Move to the version of the glossary that is served now."""
        return self._listen(self._listening.followed(self._served))

    def _listen(self, changed: Listening) -> list[Output]:
        """Listen for what is in `changed` from the next hop on; what the client is told of another index."""
        before, self._listening = self._listening, changed
        if changed is before:
            return []
        told: list[Output] = []
        if changed.glossary is not before.glossary:
            effective_at = seconds(changed.glossary.take_over(self._pipeline))
            changes = before.glossary.register.changes_to(changed.glossary.register)
            told.append(
                GlossaryUpdated(
                    seq=self._outbox.take_seq(),
                    from_version=before.glossary.version,
                    to_version=changed.glossary.version,
                    effective_at=effective_at,
                    added=changes.added,
                    removed=changes.removed,
                    changed=changes.changed,
                )
            )
        self._pipeline.configure(changed.decision)
        return told

    def _told(self, events: list[Event], spent: LatencyPart | None = None) -> list[Output]:
        return list(self._outbox.feed(events, spent))

    def _marker(self, marker_id: str) -> MarkerReached:
        processed_s = seconds(self._pipeline.received_samples)
        return MarkerReached(seq=self._outbox.take_seq(), id=marker_id, audio_processed_s=processed_s)

    def _warning(self, code: str, message: str) -> Warning:
        return Warning(seq=self._outbox.take_seq(), code=code, message=message)
