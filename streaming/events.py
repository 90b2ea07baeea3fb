"""What the pipeline says: speech bounds, hints and abstentions, on the audio clock.

Every position is an integer sample index at 16 kHz, counted from the start of the stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SAMPLE_RATE = 16_000

AbstentionReason: TypeAlias = Literal[
    "no_speech",
    "no_candidate",
    "below_threshold",
    "below_minimum",
    "refractory",
    "limit",
    "muted",
    "do_not_hint",
    "overloaded",
]
"""Why a hop has no hint. `below_minimum`: it reaches the threshold, but not the entry's own minimum; `muted`: by the
listener; `do_not_hint`: by the glossary; `overloaded`: the machine is too slow, nothing was decided."""


WithdrawalReason: TypeAlias = Literal["not_confirmed", "superseded"]
"""Why an interim hint was taken back; `superseded`: another entry was said there."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; `sample` is the onset less the pre-roll."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech ended; `sample` is the end of the last speech frame plus the hangover."""

    sample: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """A rival of a hint on the same stretch of audio; `score` is a probability."""

    entry_id: str
    term: str
    translations: Mapping[str, str]
    score: float


@dataclass(frozen=True, slots=True)
class Hint:
    """A glossary entry that was just spoken.

    `start_sample`..`end_sample` is the span of the term, `emitted_sample` the end of the audio that had
    been heard when the hint left. `score` is a calibrated probability; `raw_similarity` is the cosine of
    the best span embedding (None where the span search was not asked). `glossary_version` is the version in which
    the entry was found. A hint that is not final may come again under its `hint_id` with a higher `rev`, or be
    withdrawn.
    """

    hint_id: str
    entry_id: str
    term: str
    translations: Mapping[str, str]
    start_sample: int
    end_sample: int
    emitted_sample: int
    score: float
    raw_similarity: float | None
    rank: int
    occurrence: int
    alternatives: tuple[Alternative, ...] = field(default=())
    glossary_version: str = ""
    rev: int = 1
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class HintWithdrawn:
    """A hint that was not final was not confirmed."""

    hint_id: str
    reason: WithdrawalReason


@dataclass(frozen=True, slots=True)
class Abstention:
    """The decision to emit nothing for one hop (`start_sample`..`end_sample`).

    `threshold` is what the best score was held against, where that was the reason.
    """

    start_sample: int
    end_sample: int
    reason: AbstentionReason
    best_score: float
    threshold: float | None = None


Event: TypeAlias = SpeechStarted | SpeechEnded | Hint | HintWithdrawn | Abstention
