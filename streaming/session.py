"""One connection of the wire protocol as a state machine: frames in, messages out, no I/O.

The shell gives every incoming frame to `receive_audio` or `receive_text`, the time to `tick`, its lag to `pace`, and
does with the outputs what they say, in their order: a message is sent, a `Close` is the last and closes the connection.
A session outlives its connection: `resumed` tells a client that comes back what it missed.
"""

from collections.abc import Mapping, Sequence

from streaming.errors import SettingError
from streaming.protocol import (
    ClientMessage,
    CloseCode,
    CloseStream,
    Limits,
    RejectedMessage,
    ServerMessage,
    decode_client,
)
from streaming.sessions.closing import Close, Output, RefusedSession, frame_too_big, refusal
from streaming.sessions.event_ring import EventRing
from streaming.sessions.greeting import Greeter
from streaming.sessions.heard_stream import HeardStream, SessionCounts
from streaming.sessions.hint_pipeline import HintPipeline
from streaming.sessions.served_glossary import ServedGlossary
from streaming.sessions.session_query import resume_of, settings_of_query
from streaming.sessions.session_settings import SessionSettings

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
        self._limits = limits
        self._greeter = Greeter(session_id, settings, limits, resume_token)
        served = {settings.glossary: glossary} if served is None else served
        self._stream = HeardStream(session_id, settings, glossary, pipeline, served)
        self._ring = EventRing()
        self._heard_since_tick = True
        self._last_heard_s = 0.0

    @property
    def limits(self) -> Limits:
        """What it announces and enforces."""
        return self._limits

    @property
    def received_frames(self) -> int:
        """PCM frames taken in so far, at the client's own rate."""
        return self._stream.frames.count

    @property
    def received_s(self) -> float:
        """Seconds of audio taken in so far."""
        return self._stream.frames.duration_s

    @property
    def last_seq(self) -> int:
        """Number of the last message; -1 before the first."""
        return self._ring.last_seq

    @property
    def counts(self) -> SessionCounts:
        """What it has said so far."""
        return self._stream.counts

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds spent in each stage of the pipeline so far."""
        return self._stream.stage_seconds

    def greeting(self) -> list[Output]:
        """`Begin`, and a warning where the client has yet to choose between translations. Call it once, first."""
        told: list[Output] = [self._greeter.begin(self._stream.outbox.take_seq(), self._stream.listening)]
        if (message := self._greeter.missing_choice(self._stream.listening)) is not None:
            told.append(self._stream.replies.warning("no_target_lang", message))
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
        self._stream.frames.forget_split()
        return [*missed, self._greeter.begin(self.last_seq, self._stream.listening, self.received_frames)]

    def receive_audio(self, chunk: bytes) -> list[Output]:
        """A binary frame: s16le bytes of any length, cut anywhere."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(chunk) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        moved = self._stream.follow()
        if not chunk:
            message = "an empty frame is no end of the stream: send CloseStream to end it"
            return self._kept([*moved, self._stream.replies.warning("empty_frame", message)])
        return self._kept([*moved, *self._stream.feed(chunk)])

    def receive_text(self, text: str) -> list[Output]:
        """A text frame: a JSON message. One that breaks the protocol is answered with a non-fatal error."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(text) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        moved = self._stream.follow()
        try:
            if len(text) > _LONGEST_TEXT:
                reason = f"a message has at most {_LONGEST_TEXT} characters, this one {len(text)}"
                raise RejectedMessage("message_too_long", reason)
            return self._kept([*moved, *self._answer(decode_client(text))])
        except RejectedMessage as rejected:
            return self._kept([*moved, self._stream.replies.rejection(rejected)])

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
        return [] if self.closed else self._kept(self._stream.pace(lag_s, queued_s))

    def overflowed(self, times: int) -> list[Output]:
        """Frames had to wait before they could be queued, `times` in all so far; none is lost."""
        message = f"audio comes faster than it is worked on; the server paused reading ({times} so far), none is lost"
        return self.warn("backpressure", message)

    def warn(self, code: str, message: str) -> list[Output]:
        """Tell the client of something unusual."""
        return [] if self.closed else self._kept([self._stream.replies.warning(code, message)])

    def fail(self, code: str, close_code: CloseCode, message: str, retry_after_s: float | None = None) -> list[Output]:
        """End the session abnormally."""
        if self.closed:
            return []
        self.closed = True
        return [*refusal(code, close_code, message, seq=self._stream.outbox.take_seq(), retry_after_s=retry_after_s)]

    def _answer(self, message: ClientMessage) -> list[Output]:
        answers = self._stream.answer(message)
        if not isinstance(message, CloseStream):
            return [*answers]
        self.closed = self.is_complete = True
        return [*answers, Close(CloseCode.NORMAL, "")]

    def _kept(self, outputs: Sequence[Output]) -> list[Output]:
        """The outputs, kept for a client that has to come back."""
        self._ring.add(output for output in outputs if isinstance(output, ServerMessage))
        return [*outputs]

    def _refuse_frame(self) -> list[Output]:
        self.closed = True
        return [*frame_too_big(self._limits, seq=self._stream.outbox.take_seq())]
