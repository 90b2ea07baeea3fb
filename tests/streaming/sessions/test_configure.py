import pytest

from streaming.decision import DecisionConfig
from streaming.protocol import Configured
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
