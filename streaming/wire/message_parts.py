"""What the messages of the wire protocol are made of: records inside them, and the codes that close a connection."""

from dataclasses import dataclass
from enum import IntEnum


class CloseCode(IntEnum):
    """Codes that close the connection; an `Error` goes before each of them but NORMAL."""

    NORMAL = 1000
    RESTART = 1001
    BROKEN_FRAME = 1002
    BROKEN_TEXT = 1007
    FRAME_TOO_BIG = 1009
    INTERNAL = 1011
    OVERLOADED = 1013
    CONFIG = 4400
    AUTH = 4401
    GLOSSARY = 4404
    IDLE = 4408
    SUPERSEDED = 4409
    RESUME_EXPIRED = 4410
    TOO_FAST = 4429
    NOT_READY = 4503


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryPart:
    """The glossary that is listened for; `terms` counts its entries."""

    id: str
    version: str
    terms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPart:
    """How the client's bytes are read; `sample_rate` in hertz."""

    encoding: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a session enforces.

    A frame has at most `max_frame_bytes`; a client that says nothing for `idle_timeout_s` is dismissed. Audio may come
    at most `max_realtime_factor` times as fast as it is spoken (None: as fast as it likes), but for `max_burst_s` of
    it. A session whose connection broke can be resumed for `resume_window_s`.
    """

    max_frame_bytes: int = 1_048_576
    idle_timeout_s: float = 30
    max_realtime_factor: float | None = None
    max_burst_s: float = 60
    resume_window_s: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativePart:
    """A rival of a hint; `score` is a probability."""

    term: str
    translation: str | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPart:
    """Milliseconds: of the audio clock from the term's end to the hint, and what of the wall clock went where.

    `queue` is how long the audio that decided waited to be worked on, `encode` and `score` what that work took.
    """

    since_term_end: int
    queue: int | None = None
    encode: int | None = None
    score: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentilesPart:
    """Median and 95th percentile, milliseconds."""

    p50: int
    p95: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePart:
    """What decides from now on. Left out by servers that cannot change it: the rest.

    `threshold` is a probability: the one that was asked for, or the one that is begun with where so many
    `false_hints_per_hour` were, by a profile too: it then moves with the voice, so that they come to as many.
    """

    profile: str
    threshold: float
    max_hints_per_window: int
    glossary: str | None = None
    version: str | None = None
    mute_entries: tuple[str, ...] | None = None
    false_hints_per_hour: float | None = None
