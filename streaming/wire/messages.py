"""What a server says, in version 1 of the wire protocol: one frozen dataclass each (`client_messages` is the rest).

Times are float seconds of the audio clock since stream start, beside integer samples at 16 kHz. A field
without a default is always on the wire (None as null); one with a default is left out when it is None.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from streaming.wire.message_parts import (
    AlternativePart,
    AudioPart,
    EffectivePart,
    GlossaryPart,
    LatencyPart,
    Limits,
    PercentilesPart,
)
from streaming.wire.typed_json import wire_name

PROTOCOL_VERSION = 1
HINTS_PATH = "/v1/hints"
FINALIZE_MARKER = "finalize"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMessage:
    """What a server says; `seq` rises by one from 0 in each session."""

    TYPE: ClassVar[str]
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(ServerMessage):
    """The greeting: what will be listened for, and how.

    `threshold` is the probability that hints need to begin with; that of a profile moves with the voice.

    With `resume_token` the session can be taken up again for `expires_in_s` after its connection broke. A session that
    is taken up says so (`resumed`), and how much audio it has: PCM frames at the client's own rate, from which on the
    client sends again. That greeting follows what was missed, has the `seq` of the last message and is not numbered.
    """

    TYPE: ClassVar[str] = "Begin"
    protocol: int
    session_id: str
    glossary: GlossaryPart
    profile: str
    threshold: float
    audio: AudioPart
    limits: Limits | None = None
    resume_token: str | None = None
    expires_in_s: float | None = None
    resumed: bool | None = None
    audio_received_s: float | None = None
    audio_received_frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermHint(ServerMessage):
    """A glossary entry that was just spoken. `hint_id` is stable, `rev` rises, `is_final` is never revised."""

    TYPE: ClassVar[str] = "TermHint"
    hint_id: str
    rev: int
    is_final: bool
    term: str
    translation: str | None
    entry_id: str
    start: float
    end: float
    start_sample: int
    end_sample: int
    emitted: float
    score: float
    raw_similarity: float | None
    rank: int
    occurrence: int
    glossary_version: str
    alternatives: tuple[AlternativePart, ...]
    latency_ms: LatencyPart


@dataclass(frozen=True, slots=True, kw_only=True)
class HintRetracted(ServerMessage):
    """A hint that was not final is withdrawn."""

    TYPE: ClassVar[str] = "HintRetracted"
    hint_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstain(ServerMessage):
    """Nothing is hinted for `start`..`end`, and why; with `below_threshold` the `threshold` as it was by then."""

    TYPE: ClassVar[str] = "Abstain"
    start: float
    end: float
    reason: str
    best_score: float
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStartedMessage(ServerMessage):
    """Speech began at `timestamp`."""

    TYPE: ClassVar[str] = "SpeechStarted"
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEndedMessage(ServerMessage):
    """Speech ended at `timestamp`."""

    TYPE: ClassVar[str] = "SpeechEnded"
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerReached(ServerMessage):
    """Everything before the client's marker `id` has been worked on."""

    TYPE: ClassVar[str] = "Marker"
    id: str
    audio_processed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured(ServerMessage):
    """A `Configure` was applied as a whole."""

    TYPE: ClassVar[str] = "Configured"
    effective: EffectivePart
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryUpdated(ServerMessage):
    """Another version, or another glossary, is listened for from `effective_at` on, seconds of the audio clock.

    `added`, `removed` and `changed` count entries. Hints before and after it cite their own version.
    """

    TYPE: ClassVar[str] = "GlossaryUpdated"
    from_version: str = field(metadata=wire_name("from"))
    to_version: str = field(metadata=wire_name("to"))
    effective_at: float
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMap(ServerMessage):
    """All hints of one chunk of audio, for a translation system: term, translation, probability of each.

    Sent in place of `TermHint` to clients that ask for `format=term_map`; `start` and `end` in seconds.
    """

    TYPE: ClassVar[str] = "TermMap"
    start: float
    end: float
    terms: tuple[tuple[str, str | None, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag(ServerMessage):
    """How far the server is behind; sent when `state` changes, and from time to time while it is not "ok".

    `lag_s` is wall-clock time. "degraded": it decides less often; "skipping": it leaves out windows, `dropped_windows`
    so far. The audio clock never drifts.
    """

    TYPE: ClassVar[str] = "Lag"
    audio_received_s: float
    audio_processed_s: float
    lag_s: float
    dropped_windows: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning(ServerMessage):
    """Something unusual; the stream goes on."""

    TYPE: ClassVar[str] = "Warning"
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(ServerMessage):
    """Something was refused; when `fatal`, the connection closes with `close_code` right after."""

    TYPE: ClassVar[str] = "Error"
    code: str
    close_code: int
    fatal: bool
    message: str
    field: str | None = None
    request_id: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata(ServerMessage):
    """The sum of a session; `duration` in seconds of audio. `latency_ms` is left out when nothing was hinted."""

    TYPE: ClassVar[str] = "Metadata"
    session_id: str
    duration: float
    hints: int
    abstained_windows: int
    from_close: bool
    latency_ms: PercentilesPart | None = None


SERVER_MESSAGES: dict[str, type[ServerMessage]] = {
    kind.TYPE: kind
    for kind in (
        *(Begin, TermHint, HintRetracted, Abstain, SpeechStartedMessage, SpeechEndedMessage),
        *(MarkerReached, Configured, GlossaryUpdated, TermMap, Lag, Warning, Error, Metadata),
    )
}
