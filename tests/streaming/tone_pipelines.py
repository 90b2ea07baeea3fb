"""Pipelines of fakes, and a talk of tones for them."""

from collections.abc import Iterable
from typing import Any

from streaming.audio import AudioFormat
from streaming.decision_config import DecisionConfig
from streaming.events import Abstention, Event, Hint
from streaming.pipeline import Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.testing import (
    TONES,
    FakeEncoder,
    FakeScorer,
    FakeVoiceDetector,
    tone_index,
)

FRAME = 320
HOP = 5_120
DECISION = DecisionConfig(threshold=0.5)
FORMATS = [AudioFormat(16_000), AudioFormat(16_000, 2), AudioFormat(8_000), AudioFormat(48_000, 2)]
# Two terms, the first of them twice, one across the bound of a hop, and one that is still sounding at the end.
TALK = [(0, 500), (TONES[0], 300), (0, 900), (TONES[1], 220), (0, 300), (TONES[0], 260), (0, 1_030), (TONES[2], 215)]


def tone_pipeline(encoder: FakeEncoder | None = None, **config: Any) -> Pipeline:  # noqa: ANN401
    """A pipeline of fakes, with settings of PipelineConfig where the defaults do not do."""
    settings_of_pipeline = PipelineConfig(**{"decision": DECISION, "hop_ms": 320, **config})
    return Pipeline(encoder or FakeEncoder(), tone_index(), FakeScorer(), FakeVoiceDetector(), settings_of_pipeline)


def events_of(pipeline: Pipeline, chunks: Iterable[bytes]) -> list[Event]:
    """The events of a whole stream."""
    return [event for chunk in chunks for event in pipeline.feed(chunk)] + pipeline.finish()


def hints_of(events: Iterable[Event]) -> list[Hint]:
    """The hints among `events`."""
    return [event for event in events if isinstance(event, Hint)]


def abstentions_of(events: Iterable[Event]) -> list[Abstention]:
    """The abstentions among `events`."""
    return [event for event in events if isinstance(event, Abstention)]
