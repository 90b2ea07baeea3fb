"""A session that outlives its connection, and what it gives up when the machine is too slow."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.protocol import (
    Begin,
    CloseCode,
    Error,
    Feedback,
    Lag,
    Limits,
    MarkerReached,
    ServerMessage,
    TermHint,
    TermMap,
    Warning,
    encode,
)
from streaming.session import Close, Output, ServedGlossary, Session, open_session, resume_of
from streaming.sessions.closing import RefusedSession
from streaming.sessions.session_query import ResumeRequest
from streaming.testing import synthetic_pcm, tone_glossary

SERVED: Mapping[str, ServedGlossary] = {"tones": tone_glossary()}
SPEECH = synthetic_pcm([(0, 400), (900, 600), (0, 700), (500, 300), (0, 500), (1300, 400), (0, 900)])


def _open(query: str = "glossary=tones&target_lang=de", token: str | None = "r_1") -> tuple[Session, list[Output]]:
    session, outputs = open_session(query, SERVED, session_id="s_1", limits=Limits(), resume_token=token)
    assert session is not None
    return session, outputs


def _messages(outputs: list[Output]) -> list[ServerMessage]:
    return [output for output in outputs if isinstance(output, ServerMessage)]


def _hints(messages: list[ServerMessage]) -> list[tuple[str, str, int, int]]:
    return [(m.hint_id, m.term, m.start_sample, m.end_sample) for m in messages if isinstance(m, TermHint)]


def test_the_greeting_carries_the_token_and_how_long_it_is_good_for() -> None:
    """Complaint 6; without a token a session cannot be taken up and says nothing of it."""
    (begin,) = _open()[1]
    assert isinstance(begin, Begin)
    assert (begin.resume_token, begin.expires_in_s, begin.resumed) == ("r_1", 60, None)
    (begin,) = _open(token=None)[1]
    assert isinstance(begin, Begin)
    assert (begin.resume_token, begin.expires_in_s) == (None, None)


def test_a_client_that_comes_back_is_told_what_it_missed_and_where_to_go_on() -> None:
    """Everything after its last message, then Begin, which takes no number and says how much audio there is."""
    session, outputs = _open()
    told = _messages(outputs + session.receive_audio(SPEECH))
    again = _messages(session.resumed(told[1].seq))
    *missed, begin = again
    assert missed == told[2:]
    assert isinstance(begin, Begin)
    assert (begin.resumed, begin.seq, begin.audio_received_frames) == (True, told[-1].seq, len(SPEECH) // 2)
    assert begin.audio_received_s == len(SPEECH) / 32_000
    (marker,) = session.receive_text('{"type": "Marker", "id": "m"}')
    assert isinstance(marker, MarkerReached)
    assert marker.seq == told[-1].seq + 1
    assert session.resumed(marker.seq) == [replace(begin, seq=marker.seq)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, len(SPEECH)), min_size=1, max_size=4), lost=st.lists(st.integers(0, 9), min_size=4))
def test_breaks_change_no_hint(cuts: list[int], lost: list[int]) -> None:
    """Connections that break anywhere, even within a sample, with messages lost: the hints of an unbroken stream, once."""
    whole, greeting = _open()
    expected = _hints(_messages(greeting + whole.receive_audio(SPEECH) + whole.receive_text('{"type":"CloseStream"}')))
    session, outputs = _open()
    kept = _messages(outputs)
    at = 0
    for cut, missing in zip(sorted(cuts), lost, strict=False):
        told = _messages(session.receive_audio(SPEECH[at:cut])) if cut > at else []
        kept += told[: max(0, len(told) - missing)]
        *missed, begin = _messages(session.resumed(kept[-1].seq))
        assert isinstance(begin, Begin)
        assert begin.audio_received_frames is not None
        kept += missed
        at = 2 * begin.audio_received_frames
    kept += _messages(session.receive_audio(SPEECH[at:]) + session.receive_text('{"type":"CloseStream"}'))
    assert _hints(kept) == expected
    assert [message.seq for message in kept] == list(range(len(kept)))


@pytest.mark.parametrize("last_seq", [-2, 10_000])
def test_a_place_that_is_not_known_is_refused_and_the_session_stays(last_seq: int) -> None:
    """4410, with an error first; another client with the right number still gets on."""
    session, _ = _open()
    error, close = session.resumed(last_seq)
    assert isinstance(error, Error)
    assert (error.code, close) == ("resume_expired", Close(CloseCode.RESUME_EXPIRED, "resume_expired"))
    assert not session.closed
    assert isinstance(session.resumed(0)[-1], Begin)


def test_a_session_that_is_over_cannot_be_taken_up() -> None:
    """After CloseStream nothing is left to go on with."""
    session, _ = _open()
    session.receive_text('{"type": "CloseStream"}')
    assert isinstance(session.resumed(0)[-1], Close)


def test_a_client_that_went_silent_may_come_back() -> None:
    """The idle timer ends the connection, not the session, and its goodbye is not told again."""
    session, _ = _open()
    session.tick(0.0)
    error, close = session.tick(31.0)
    assert isinstance(error, Error)
    assert (error.code, close) == ("idle", Close(CloseCode.IDLE, "idle"))
    assert [type(message) for message in session.resumed(0)] == [Begin]
    assert session.tick(31.5) == []


def test_the_address_of_a_resume_is_read() -> None:
    """The token and the number; a new session has neither; a number that is none is refused."""
    assert resume_of("resume=r_1&last_seq=41") == ResumeRequest("r_1", 41)
    assert resume_of("resume=r_1&last_seq=-1&token=x") == ResumeRequest("r_1", -1)
    assert resume_of("glossary=tones") is None
    for query in ("resume=r_1", "resume=r_1&last_seq=x"):
        with pytest.raises(RefusedSession, match="last_seq"):
            resume_of(query)


def test_a_slow_machine_decides_less_often_then_leaves_windows_out_and_counts_them() -> None:
    """Complaint 1: each step is told with a Warning and a Lag; the audio clock runs on, and all is restored."""
    session, _ = _open("glossary=tones&abstain_events=true")
    second = synthetic_pcm([(900, 1000)])
    lags = [0.0, 1.5, 2.5, 3.5, 3.5, 0.0, 0.0, 0.0, 0.0]
    told = [message for lag in lags for message in _messages(session.receive_audio(second) + session.pace(lag, 0.5))]
    assert [m.code for m in told if isinstance(m, Warning)] == ["degraded_hop"] * 3 + ["restored_hop"] * 3
    reports = [m for m in told if isinstance(m, Lag)]
    assert [m.state for m in reports] == ["degraded", "degraded", "skipping", "degraded", "degraded", "ok"]
    assert (reports[0].lag_s, reports[0].audio_received_s, reports[0].audio_processed_s) == (1.5, 2.5, 2.0)
    assert session.counts.dropped_windows == session.counts.abstentions["overloaded"] > 0
    assert reports[-1].dropped_windows == session.counts.dropped_windows
    assert session.received_s == len(lags)


def test_while_it_is_behind_a_session_says_so_from_time_to_time() -> None:
    """Every ten seconds of audio, not at every frame."""
    session, _ = _open()
    second = synthetic_pcm([(0, 1000)])
    told: list[ServerMessage] = []
    for _ in range(25):
        told += _messages(session.receive_audio(second) + session.pace(0.9 if told else 1.5))
    assert len([m for m in told if isinstance(m, Lag)]) == 3


def test_a_translation_system_gets_the_terms_of_each_chunk() -> None:
    """format=term_map: one map for every chunk of 960 ms up to the end, no TermHint; the hints are counted."""
    session, outputs = _open("glossary=tones&target_lang=de&format=term_map")
    told = _messages(outputs + session.receive_audio(SPEECH) + session.receive_text('{"type":"CloseStream"}'))
    maps = [m for m in told if isinstance(m, TermMap)]
    assert [m.start for m in maps] == pytest.approx([0.96 * i for i in range(len(maps))])
    assert [m.end for m in maps[:-1]] == [m.start for m in maps[1:]]
    assert maps[-1].end == pytest.approx(len(SPEECH) / 32_000)
    terms = [term[0] for m in maps for term in m.terms]
    assert terms == ["900 hertz tone", "500 hertz tone", "1300 hertz tone"]
    assert next(term[1] for m in maps for term in m.terms) == "Ton von 900 Hertz"
    assert not [m for m in told if isinstance(m, TermHint)]
    assert session.counts.hints == 3


@pytest.mark.parametrize("query", ["format=srt", "format=term_map&chunk_ms=10", "chunk_ms=x"])
def test_a_format_that_is_none_is_refused(query: str) -> None:
    """4400, naming the key."""
    session, outputs = open_session(f"glossary=tones&{query}", SERVED, session_id="s", limits=Limits())
    assert session is None
    assert isinstance(outputs[0], Error)
    assert outputs[0].field in ("format", "chunk_ms")


def test_feedback_is_counted_and_must_name_a_hint() -> None:
    """Of a hint that was given; anything else is a non-fatal error."""
    session, _ = _open()
    hints = _hints(_messages(session.receive_audio(SPEECH)))
    assert session.receive_text(encode(Feedback(hint_id=hints[0][0], verdict="wrong"))) == []
    assert session.receive_text(encode(Feedback(hint_id=hints[1][0], verdict="right", note="thanks"))) == []
    errors = [
        session.receive_text(encode(Feedback(hint_id="h99", verdict="right")))[0],
        session.receive_text(encode(Feedback(hint_id=hints[0][0], verdict="meh")))[0],
    ]
    assert [error.code for error in errors if isinstance(error, Error)] == ["unknown_hint", "invalid_message"]
    assert session.counts.feedback == {"wrong": 1, "right": 1}
