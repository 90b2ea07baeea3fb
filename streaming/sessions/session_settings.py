"""What one session listens for, and what it tells."""

from dataclasses import dataclass

from streaming.audio import AudioFormat
from streaming.decision_config import DecisionConfig

LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What one session listens for, and what it tells; `decision` is the profile's.

    `version` is `LATEST`, which follows new ones, or the only one that the session wants. With `term_map_ms` hints are
    told by chunks of so much audio.
    """

    glossary: str
    format: AudioFormat
    profile: str
    decision: DecisionConfig
    source_lang: str
    target_lang: str | None = None
    interim_hints: bool = False
    vad_events: bool = True
    abstain_events: bool = False
    version: str = LATEST
    term_map_ms: int | None = None
