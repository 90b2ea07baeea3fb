"""One connection of the wire protocol as a state machine: frames in, messages out, no I/O.

The shell gives every incoming frame to `receive_audio` or `receive_text`, the time to `tick`, and does with the
outputs what they say, in their order: a message is sent, a `Close` is the last and closes the connection.
"""

from collections.abc import Mapping

from streaming.closing import Close, Output, frame_too_big, refusal
from streaming.errors import SettingError
from streaming.events import Event
from streaming.listening import Listening
from streaming.outbox import Outbox, OutboxConfig
from streaming.protocol import (
    FINALIZE_MARKER,
    PROTOCOL_VERSION,
    AudioPart,
    Begin,
    ClientMessage,
    CloseCode,
    CloseStream,
    Configure,
    Configured,
    Error,
    Finalize,
    GlossaryPart,
    GlossaryUpdated,
    Limits,
    Marker,
    MarkerReached,
    RejectedMessage,
    Warning,
    decode_client,
    seconds,
)
from streaming.session_settings import HintPipeline, RefusedSession, ServedGlossary, SessionSettings, settings_of_query

__all__ = [
    "Close",
    "HintPipeline",
    "Output",
    "ServedGlossary",
    "Session",
    "SessionSettings",
    "frame_too_big",
    "open_session",
    "refusal",
]


def open_session(
    query: str, served: Mapping[str, ServedGlossary], *, session_id: str, limits: Limits
) -> tuple["Session | None", list[Output]]:
    """Open the session that the address asks for.

    Args:
        query: the part of the address after "?".
        served: the glossaries that may be asked for, by id, as they are at any time: one that is replaced in it is
            listened for by the session from its next hop on.
        session_id: name of the session, of the caller's making.
        limits: what the session announces and enforces.

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
    session = Session(session_id, settings, glossary, pipeline, limits, served)
    return session, session.greeting()


class Session:
    """An open session; once it has given a `Close`, further frames give nothing.

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
    ) -> None:
        self.session_id = session_id
        self.closed = False
        self._settings = settings
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
            )
        )
        self._heard_since_tick = True
        self._last_heard_s = 0.0

    def greeting(self) -> list[Output]:
        """`Begin`, and a warning where the client has yet to choose between translations. Call it once, first."""
        settings, glossary = self._settings, self._listening.glossary
        begin = Begin(
            seq=self._outbox.take_seq(),
            protocol=PROTOCOL_VERSION,
            session_id=self.session_id,
            glossary=GlossaryPart(id=settings.glossary, version=glossary.version, terms=glossary.terms),
            profile=settings.profile,
            threshold=settings.decision.threshold,
            audio=AudioPart(
                encoding=settings.format.encoding,
                sample_rate=settings.format.sample_rate,
                channels=settings.format.channels,
            ),
            limits=self._limits,
        )
        if settings.target_lang is None and len(glossary.target_langs) > 1:
            choice = [lang for lang in glossary.target_langs if lang]
            message = f"hints come without translation: add target_lang={choice[0]} (there are: {', '.join(choice)})"
            return [begin, self._warning("no_target_lang", message)]
        return [begin]

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
            return [*moved, self._warning("empty_frame", message)]
        return [*moved, *self._told(self._pipeline.feed(chunk))]

    def receive_text(self, text: str) -> list[Output]:
        """A text frame: a JSON message. One that breaks the protocol is answered with a non-fatal error."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(text) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        moved = self._follow()
        try:
            return [*moved, *self._answer(decode_client(text))]
        except RejectedMessage as rejected:
            return [
                *moved,
                Error(
                    seq=self._outbox.take_seq(),
                    code=rejected.code,
                    close_code=CloseCode.CONFIG,
                    fatal=False,
                    message=str(rejected),
                    field=rejected.field,
                    request_id=rejected.request_id,
                ),
            ]

    def tick(self, now_s: float) -> list[Output]:
        """The time, from any origin, whenever no frame waits; a client silent for too long is dismissed."""
        if self._heard_since_tick:
            self._heard_since_tick = False
            self._last_heard_s = now_s
        if self.closed or now_s - self._last_heard_s < self._limits.idle_timeout_s:
            return []
        return self.fail(
            "idle",
            CloseCode.IDLE,
            f"nothing came for {self._limits.idle_timeout_s:g} s: send audio or KeepAlive, or end with CloseStream",
        )

    def overflowed(self, times: int) -> list[Output]:
        """Frames had to wait before they could be queued, `times` in all so far; none is lost."""
        if self.closed:
            return []
        message = f"audio comes faster than it is worked on; the server paused reading ({times} so far), none is lost"
        return [self._warning("backpressure", message)]

    def fail(self, code: str, close_code: CloseCode, message: str) -> list[Output]:
        """End the session abnormally."""
        if self.closed:
            return []
        self.closed = True
        return [*refusal(code, close_code, message, seq=self._outbox.take_seq())]

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
            case CloseStream():
                last = self._told(self._pipeline.finish())
                self.closed = True
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

    def _told(self, events: list[Event]) -> list[Output]:
        return list(self._outbox.feed(events))

    def _marker(self, marker_id: str) -> MarkerReached:
        processed_s = seconds(self._pipeline.received_samples)
        return MarkerReached(seq=self._outbox.take_seq(), id=marker_id, audio_processed_s=processed_s)

    def _warning(self, code: str, message: str) -> Warning:
        return Warning(seq=self._outbox.take_seq(), code=code, message=message)
