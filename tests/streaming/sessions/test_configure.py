from dataclasses import replace
from typing import Any

import pytest

from streaming.decision_config import DecisionConfig
from streaming.false_hint_budget import FalseHintBudget, ThresholdCurve
from streaming.protocol import Configure, Configured, RejectedMessage
from streaming.sessions.listening import Listening
from streaming.testing import tone_glossary
from tests.streaming.scripted_sessions import Desk, only_error


def test_configure_is_applied_as_a_whole(desk: Desk) -> None:
    """Numbers given beat those of the profile given; what is not given stays."""
    session = desk.session()
    (first,) = session.receive_text('{"type":"Configure","request_id":"c1","profile":"mt","threshold":0.6}')
    (second,) = session.receive_text('{"type":"Configure","max_hints_per_window":2}')
    assert isinstance(first, Configured)
    assert isinstance(second, Configured)
    assert (first.request_id, first.effective.profile, first.effective.threshold) == ("c1", "mt", 0.6)
    assert first.effective.max_hints_per_window == 9
    assert (second.effective.threshold, second.effective.max_hints_per_window) == (0.6, 2)
    assert desk.pipelines[0].configured == [DecisionConfig(0.6, 300, 9), DecisionConfig(0.6, 300, 2)]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ('"threshold":1.5,"max_hints_per_window":3', "invalid_config", "threshold"),
        ('"threshold":0.5,"max_hints_per_window":-1', "invalid_config", "max_hints_per_window"),
        ('"threshold":0.5,"profile":"loud"', "invalid_config", "profile"),
        ('"threshold":0.5,"sample_rate":8000', "new_session_only", "sample_rate"),
        ('"threshold":0.5,"model":"big"', "startup_only", "model"),
    ],
)
def test_a_configure_that_is_wrong_in_part_changes_nothing(desk: Desk, fields: str, code: str, field: str) -> None:
    """A rejected Configure names field and request, keeps the old settings, and the stream goes on."""
    session = desk.session()
    error = only_error(session.receive_text(f'{{"type":"Configure","request_id":"c9",{fields}}}'))
    assert (error.code, error.field, error.request_id) == (code, field, "c9")
    assert desk.pipelines[0].configured == []
    assert session.receive_audio(bytes(2))


CURVE = ThresholdCurve((0.3, 0.6, 0.9), (100.0, 30.0, 5.0))


def asked(listening: Listening, **fields: Any) -> Listening:  # noqa: ANN401
    """What is listened for after a Configure."""
    return listening.configured(Configure(**fields), {})


def budgeted() -> Listening:
    """A glossary whose profile means 12 false hints an hour."""
    profile = DecisionConfig(0.9, budget=FalseHintBudget(12, CURVE))
    glossary = replace(tone_glossary(), profiles={"booth": profile})
    return Listening(
        glossary_id="tones", version="latest", glossary=glossary, source_lang="en", target_lang=None, profile="booth"
    )


def test_false_hints_an_hour_may_be_asked_for() -> None:
    """A budget of so many, from the threshold that the glossary's table has for them."""
    changed = asked(budgeted(), false_hints_per_hour=50)
    assert changed.decision == DecisionConfig(0.6, budget=FalseHintBudget(50, CURVE))
    assert (changed.effective.threshold, changed.effective.false_hints_per_hour) == (0.6, 50)
    assert budgeted().effective.false_hints_per_hour == 12


def test_of_threshold_and_false_hints_the_later_counts() -> None:
    """And a profile takes back both; a fixed threshold has no budget."""
    fixed = asked(asked(budgeted(), false_hints_per_hour=50), threshold=0.4)
    assert fixed.decision == DecisionConfig(0.4)
    assert fixed.effective.false_hints_per_hour is None
    assert asked(fixed, false_hints_per_hour=50).decision.threshold == 0.6
    assert asked(fixed, max_hints_per_window=3).decision.threshold == 0.4
    assert asked(fixed, profile="booth").decision == budgeted().decision
    assert asked(budgeted(), threshold=0.4, false_hints_per_hour=50).decision == DecisionConfig(0.4)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_impossible_false_hints_are_rejected(value: float) -> None:
    """With the field and the cure."""
    with pytest.raises(RejectedMessage, match=f"false_hints_per_hour = {value}: give a number above 0") as caught:
        asked(budgeted(), false_hints_per_hour=value)
    assert caught.value.field == "false_hints_per_hour"


def test_where_false_hints_are_not_known_a_threshold_is_the_cure() -> None:
    """A glossary without a table of them."""
    unknown = replace(budgeted(), glossary=tone_glossary())
    with pytest.raises(RejectedMessage, match=r"false_hints_per_hour = 12.* give a threshold"):
        asked(unknown, false_hints_per_hour=12.0)
