from collections.abc import Mapping

import pytest

from streaming.protocol import (
    Abstain,
    Begin,
    CloseCode,
    Limits,
    MarkerReached,
    Metadata,
    PercentilesPart,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    Warning,
)
from streaming.session import Close, ServedGlossary, open_session
from streaming.testing import synthetic_pcm
from tests.streaming.scripted_sessions import LIMITS, Desk, fatal, kinds_of, only_error


def test_the_greeting_says_what_will_be_heard(desk: Desk) -> None:
    """Begin carries glossary, profile, threshold, audio format and the limits that are enforced."""
    query = "glossary=acl&version=latest&profile=mt&encoding=linear16&sample_rate=48000&channels=2&target_lang=de"
    _, outputs = desk.open(query)
    (begin,) = outputs
    assert isinstance(begin, Begin)
    assert (begin.seq, begin.protocol, begin.session_id) == (0, 1, "s_1")
    assert (begin.glossary.id, begin.glossary.version, begin.glossary.terms) == ("acl", "v7", 238)
    assert (begin.profile, begin.threshold) == ("mt", 0.4)
    assert (begin.audio.encoding, begin.audio.sample_rate, begin.audio.channels) == ("linear16", 48_000, 2)
    assert begin.limits == LIMITS
    assert desk.pipelines[0].settings.decision == desk.glossary.profiles["mt"]


@pytest.mark.parametrize(
    ("flags", "kinds"),
    [
        ("", [SpeechStartedMessage, TermHint]),
        ("&vad_events=false", [TermHint]),
        ("&abstain_events=true", [SpeechStartedMessage, Abstain, TermHint]),
    ],
)
def test_events_come_as_asked_for(desk: Desk, flags: str, kinds: list[type]) -> None:
    """Speech bounds and abstentions are told to those who want them, numbered without gaps."""
    outputs = desk.session("glossary=acl" + flags).receive_audio(bytes(640))
    assert kinds_of(outputs) == kinds
    assert [output.seq for output in outputs if not isinstance(output, Close)] == list(range(1, len(kinds) + 1))


def test_finalize_flushes_and_the_stream_stays_usable(desk: Desk) -> None:
    """Finalize answers with its hints and the marker, and audio after it is heard."""
    session = desk.session()
    session.receive_audio(bytes(640))
    outputs = session.receive_text('{"type":"Finalize"}')
    assert kinds_of(outputs) == [TermHint, MarkerReached]
    assert isinstance(outputs[1], MarkerReached)
    assert (outputs[1].id, outputs[1].audio_processed_s) == ("finalize", 0.02)
    assert kinds_of(session.receive_audio(bytes(640))) == [SpeechStartedMessage, TermHint]


def test_close_stream_drains_and_sums_up(desk: Desk) -> None:
    """CloseStream gives the last hints, the sum, and close 1000; what comes later gives nothing."""
    session = desk.session()
    session.receive_audio(bytes(640))
    outputs = session.receive_text('{"type":"CloseStream"}')
    assert kinds_of(outputs) == [TermHint, SpeechEndedMessage, Metadata, Close]
    assert outputs[2] == Metadata(
        seq=5,
        session_id="s_1",
        duration=0.02,
        hints=2,
        abstained_windows=1,
        from_close=True,
        latency_ms=PercentilesPart(p50=500, p95=500),
    )
    assert outputs[3] == Close(CloseCode.NORMAL, "")
    assert session.receive_audio(bytes(2)) == session.receive_text("{}") == session.tick(1e9) == []
    assert session.fail("internal", CloseCode.INTERNAL, "") == session.overflowed(1) == []


def test_a_marker_comes_back_with_the_clock(desk: Desk) -> None:
    """A marker says up to where the audio before it was worked on."""
    session = desk.session("glossary=acl&vad_events=false")
    session.receive_audio(bytes(320))
    assert session.receive_text('{"type":"Marker","id":"m3"}') == [
        MarkerReached(seq=2, id="m3", audio_processed_s=0.01)
    ]


def test_an_empty_frame_is_a_warning(desk: Desk) -> None:
    """An empty binary frame neither ends the stream nor reaches the pipeline."""
    session = desk.session()
    (warning,) = session.receive_audio(b"")
    assert isinstance(warning, Warning)
    assert warning.code == "empty_frame"
    assert desk.pipelines[0].received_samples == 0
    assert not session.closed


@pytest.mark.parametrize("kind", ["binary", "text"])
def test_a_frame_above_the_limit_ends_the_session(desk: Desk, kind: str) -> None:
    """A frame that is too big gives an error with the limit, then 1009; one at the limit is heard."""
    session = desk.session()
    assert session.receive_audio(bytes(1000))
    outputs = session.receive_audio(bytes(1001)) if kind == "binary" else session.receive_text("x" * 1001)
    error = fatal(outputs)
    assert error.close_code == CloseCode.FRAME_TOO_BIG
    assert "1000 bytes" in error.message
    assert session.closed


def test_a_message_that_is_not_understood_ends_nothing(desk: Desk) -> None:
    """Nonsense in a text frame is answered with a non-fatal error."""
    session = desk.session()
    assert only_error(session.receive_text("nonsense")).code == "invalid_message"
    assert not session.closed


def test_a_silent_client_is_dismissed_after_the_announced_time(desk: Desk) -> None:
    """4408 comes `idle_timeout_s` after the first tick without a frame, not before."""
    session = desk.session()
    assert session.tick(100.0) == session.tick(129.9) == []
    assert fatal(session.tick(130.0)).close_code == CloseCode.IDLE


@pytest.mark.parametrize("sign", ["keep-alive", "audio", "empty frame"])
def test_any_frame_restarts_the_idle_timer(desk: Desk, sign: str) -> None:
    """KeepAlive and every other frame count as life; KeepAlive leaves the audio clock where it is."""
    session = desk.session()
    session.tick(0.0)
    if sign == "keep-alive":
        assert session.receive_text('{"type":"KeepAlive"}') == []
    else:
        session.receive_audio(b"" if sign == "empty frame" else bytes(2))
    assert session.tick(29.0) == session.tick(58.0) == []
    assert session.tick(59.0)
    assert desk.pipelines[0].received_samples == (sign == "audio")


def test_an_overflow_is_told(desk: Desk) -> None:
    """A client that sends faster than its audio is worked on hears of it."""
    (warning,) = desk.session().overflowed(3)
    assert isinstance(warning, Warning)
    assert warning.code == "backpressure"
    assert "3 so far" in warning.message


def test_a_failure_is_announced(desk: Desk) -> None:
    """A session that is made to fail says why before it closes."""
    error = fatal(desk.session().fail("restart", CloseCode.RESTART, "back soon"))
    assert (error.seq, error.close_code, error.message) == (1, 1001, "back soon")


def test_the_real_pipeline_is_a_hint_pipeline(served: Mapping[str, ServedGlossary]) -> None:
    """A session over the real pipeline hears a tone and says its term."""
    session, outputs = open_session("glossary=tones&target_lang=de", served, session_id="s", limits=Limits())
    assert session is not None
    assert kinds_of(outputs) == [Begin]
    heard = session.receive_audio(synthetic_pcm([(0, 400), (900, 600), (0, 1000)]))
    assert [(hint.term, hint.translation) for hint in heard if isinstance(hint, TermHint)] == [
        ("900 hertz tone", "Ton von 900 Hertz")
    ]
