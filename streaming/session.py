"""One connection of the wire protocol as a state machine: frames in, messages out, no I/O.

The shell gives every incoming frame to `receive_audio` or `receive_text`, the time to `tick`, and does with the
outputs what they say, in their order: a message is sent, a `Close` is the last and closes the connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from streaming.decision import DecisionConfig
from streaming.errors import SettingError
from streaming.events import Event
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
    EffectivePart,
    Error,
    Finalize,
    GlossaryPart,
    Limits,
    Marker,
    MarkerReached,
    RejectedMessage,
    ServerMessage,
    Warning,
    decode_client,
    seconds,
)
from streaming.session_settings import HintPipeline, RefusedSession, ServedGlossary, SessionSettings, settings_of_query
from streaming.typed_json import shown

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


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with `code`; `reason` is one short word."""

    code: CloseCode
    reason: str


Output: TypeAlias = ServerMessage | Close


def refusal(
    code: str,
    close_code: CloseCode,
    message: str,
    *,
    seq: int = 0,
    field: str | None = None,
    retry_after_s: float | None = None,
) -> tuple[Error, Close]:
    """The fatal error and the close that it announces: the only way in which a connection ends abnormally."""
    error = Error(
        seq=seq,
        code=code,
        close_code=close_code,
        fatal=True,
        message=message,
        field=field,
        retry_after_s=retry_after_s,
    )
    return error, Close(close_code, code)


def frame_too_big(limits: Limits, *, seq: int) -> tuple[Error, Close]:
    """The refusal of a frame above `limits.max_frame_bytes`."""
    return refusal(
        "frame_too_big",
        CloseCode.FRAME_TOO_BIG,
        f"a frame may have at most {limits.max_frame_bytes} bytes: send frames of 20 to 100 ms",
        seq=seq,
    )


def open_session(
    query: str, served: Mapping[str, ServedGlossary], *, session_id: str, limits: Limits
) -> tuple["Session | None", list[Output]]:
    """Open the session that the address asks for.

    Args:
        query: the part of the address after "?".
        served: the glossaries that may be asked for, by id.
        session_id: name of the session, of the caller's making.
        limits: what the session announces and enforces.

    Returns:
        The session and its greeting, or None and the refusal.
    """
    try:
        settings = settings_of_query(query, served)
        glossary = served[settings.glossary]
        pipeline = glossary.open(settings)
    except RefusedSession as refused:
        return None, [*refusal(refused.code, refused.close_code, str(refused), field=refused.field)]
    except SettingError as error:
        return None, [*refusal("invalid_config", CloseCode.CONFIG, str(error))]
    session = Session(session_id, settings, glossary, pipeline, limits)
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
    ) -> None:
        self.session_id = session_id
        self.closed = False
        self._settings = settings
        self._glossary = glossary
        self._pipeline = pipeline
        self._limits = limits
        self._profile = settings.profile
        self._decision = settings.decision
        self._outbox = Outbox(
            OutboxConfig(
                session_id=session_id,
                glossary_version=glossary.version,
                target_lang=settings.target_lang,
                vad_events=settings.vad_events,
                abstain_events=settings.abstain_events,
            )
        )
        self._heard_since_tick = True
        self._last_heard_s = 0.0

    def greeting(self) -> list[Output]:
        """`Begin`, and a warning where the client has yet to choose between translations. Call it once, first."""
        settings, glossary = self._settings, self._glossary
        begin = Begin(
            seq=self._outbox.take_seq(),
            protocol=PROTOCOL_VERSION,
            session_id=self.session_id,
            glossary=GlossaryPart(id=settings.glossary, version=glossary.version, terms=glossary.terms),
            profile=self._profile,
            threshold=self._decision.threshold,
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
        if not chunk:
            return [self._warning("empty_frame", "an empty frame is no end of the stream: send CloseStream to end it")]
        if len(chunk) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        return self._told(self._pipeline.feed(chunk))

    def receive_text(self, text: str) -> list[Output]:
        """A text frame: a JSON message. One that breaks the protocol is answered with a non-fatal error."""
        if self.closed:
            return []
        self._heard_since_tick = True
        if len(text) > self._limits.max_frame_bytes:
            return self._refuse_frame()
        try:
            return self._answer(decode_client(text))
        except RejectedMessage as rejected:
            return [
                Error(
                    seq=self._outbox.take_seq(),
                    code=rejected.code,
                    close_code=CloseCode.CONFIG,
                    fatal=False,
                    message=str(rejected),
                    field=rejected.field,
                    request_id=rejected.request_id,
                )
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
                return [self._configure(message)]
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

    def _configure(self, message: Configure) -> Configured:
        """Apply all of `message` or, by raising RejectedMessage, nothing."""
        profile = self._profile if message.profile is None else message.profile
        if profile not in self._glossary.profiles:
            raise RejectedMessage(
                "invalid_config",
                f"profile {shown(profile)} is not known: it is one of {', '.join(self._glossary.profiles)}",
                field="profile",
                request_id=message.request_id,
            )
        start = self._decision if message.profile is None else self._glossary.profiles[profile]
        decision = _changed_decision(start, message)
        self._pipeline.configure(decision)
        self._profile, self._decision = profile, decision
        return Configured(
            seq=self._outbox.take_seq(),
            request_id=message.request_id,
            effective=EffectivePart(
                profile=profile,
                threshold=decision.threshold,
                max_hints_per_window=decision.max_hints_per_hop,
            ),
        )

    def _told(self, events: list[Event]) -> list[Output]:
        return list(self._outbox.feed(events))

    def _marker(self, marker_id: str) -> MarkerReached:
        processed_s = seconds(self._pipeline.received_samples)
        return MarkerReached(seq=self._outbox.take_seq(), id=marker_id, audio_processed_s=processed_s)

    def _warning(self, code: str, message: str) -> Warning:
        return Warning(seq=self._outbox.take_seq(), code=code, message=message)


def _changed_decision(decision: DecisionConfig, message: Configure) -> DecisionConfig:
    """`decision` with the numbers that `message` gives. Raises RejectedMessage that names the field out of range."""
    field = "threshold"
    try:
        if message.threshold is not None:
            decision = replace(decision, threshold=message.threshold)
        field = "max_hints_per_window"
        if message.max_hints_per_window is not None:
            decision = replace(decision, max_hints_per_hop=message.max_hints_per_window)
    except SettingError as error:
        raise RejectedMessage("invalid_config", str(error), field=field, request_id=message.request_id) from error
    return decision
