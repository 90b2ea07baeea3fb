from collections.abc import Mapping

import pytest

from streaming.decision import DecisionConfig
from streaming.pipeline import Pipeline, PipelineConfig
from streaming.session import ServedGlossary, SessionSettings
from streaming.testing import FakeEncoder, FakeScorer, FakeVoiceDetector, tone_index


def _open_tones(settings: SessionSettings) -> Pipeline:
    config = PipelineConfig(decision=settings.decision, format=settings.format)
    return Pipeline(FakeEncoder(), tone_index(), FakeScorer(), FakeVoiceDetector(), config)


@pytest.fixture
def tone_glossary() -> ServedGlossary:
    """The tones of `streaming.testing` as a glossary that is heard by the real pipeline over fakes."""
    return ServedGlossary(
        version="v1",
        terms=len(tone_index().entries),
        profiles={"booth": DecisionConfig(threshold=0.5), "mt": DecisionConfig(threshold=0.3, max_hints_per_hop=10)},
        open=_open_tones,
        target_langs=("de",),
    )


@pytest.fixture
def served(tone_glossary: ServedGlossary) -> Mapping[str, ServedGlossary]:
    """What a server of tests serves: the tones."""
    return {"tones": tone_glossary}
