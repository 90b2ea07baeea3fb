"""A session with what the server keeps beside it, on a clock of the test's own."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streaming.audio import AudioFormat, float_to_pcm16
from streaming.protocol import Error, Lag, Limits, TermHint, Warning
from streaming.server.inbox import Received
from streaming.server.live_session import LiveSession
from streaming.server.metrics import ServerMetrics
from streaming.session import open_session
from streaming.sessions.closing import Close, Output
from streaming.sessions.recording import SessionRecorder
from tests.streaming.server.serving import QUERY, SPEECH, Served

TENTH = 3200


def _live(
    served: Served,
    limits: Limits | None = None,
    recorder: SessionRecorder | None = None,
    query: str = QUERY,
    *,
    log_terms: bool = False,
    is_spoken: bool = True,
) -> LiveSession:
    session, _ = open_session(query, served, session_id="s_1", limits=limits or Limits(), resume_token="r_1")
    assert session is not None
    return LiveSession(session, ServerMetrics(), recorder, log_terms=log_terms, is_spoken=is_spoken)


def _hear(live: LiveSession, pcm: bytes, at_s: float = 0.0) -> list[Output]:
    """Every tenth of a second when it is due."""
    outputs: list[Output] = []
    for number, start in enumerate(range(0, len(pcm), TENTH)):
        now_s = at_s + number / 10
        outputs += live.receive(Received(pcm[start : start + TENTH], now_s), now_s, 0)
    return outputs


def test_a_session_that_falls_behind_gives_up_windows_never_time(served: Served) -> None:
    """Complaint 1: lag is told, the hop grows, windows are left out and counted, all is taken back; no audio is lost."""
    live = _live(served, query=f"{QUERY}&vad_events=false")
    told: list[Output] = []
    for number in range(200):
        came_s = number / 10
        # The machine is too slow for 8 s, and keeps up afterwards.
        now_s = came_s + min(number / 20, 4.0) if number < 80 else came_s
        told += live.receive(Received(bytes(TENTH), came_s), now_s, 0)
    states = [message.state for message in told if isinstance(message, Lag)]
    codes = [message.code for message in told if isinstance(message, Warning)]
    assert states == ["degraded", "degraded", "skipping", "degraded", "degraded", "ok"]
    assert codes == ["degraded_hop"] * 3 + ["restored_hop"] * 3
    words = [message.message for message in told if isinstance(message, Warning)]
    assert ["more than before" in text for text in words] == [False] * 3 + [True, True, False]
    assert live.session.received_s == 20.0
    lags = [message for message in told if isinstance(message, Lag)]
    assert all(abs(message.audio_received_s - message.audio_processed_s) < 0.11 for message in lags)
    assert lags[2].lag_s > 3.0


def test_what_a_resumed_client_sends_again_is_no_lag(served: Served) -> None:
    """Complaint 6: twenty seconds at once are worked on one after the other without giving anything up."""
    live = _live(served)
    told: list[Output] = []
    for number in range(200):
        told += live.receive(Received(bytes(TENTH), 0.0), number * 0.02, 0)
    assert not [message for message in told if isinstance(message, Lag)]


@pytest.mark.parametrize(("seconds_at_once", "is_refused"), [(5, False), (7, True)])
def test_audio_faster_than_allowed_ends_the_session(served: Served, seconds_at_once: int, is_refused: bool) -> None:
    """4429 with an error first, once the burst that is announced in Begin is used up."""
    live = _live(served, Limits(max_realtime_factor=1.5, max_burst_s=6))
    told: list[Output] = []
    for _ in range(10 * seconds_at_once):
        told += live.receive(Received(bytes(TENTH), 1.0), 1.0, 0)
    errors = [message for message in told if isinstance(message, Error)]
    assert [(error.code, error.close_code) for error in errors] == [("too_fast", 4429)] * is_refused
    assert any(isinstance(output, Close) for output in told) is is_refused


def test_audio_at_the_allowed_speed_may_go_on_for_ever(served: Served) -> None:
    """One and a half times the speed of speech, for two minutes."""
    live = _live(served, Limits(max_realtime_factor=1.5, max_burst_s=2))
    for number in range(1800):
        now_s = number / 15
        assert not any(isinstance(o, Error) for o in live.receive(Received(bytes(TENTH), now_s), now_s, 0))


def test_a_hint_says_how_long_its_audio_waited(served: Served) -> None:
    """In the queue, in milliseconds of the wall clock."""
    live = _live(served)
    outputs: list[Output] = []
    for number, start in enumerate(range(0, len(SPEECH), TENTH)):
        came_s = number / 10
        outputs += live.receive(Received(SPEECH[start : start + TENTH], came_s), came_s + 0.25, 0)
    waited = [message.latency_ms.queue for message in outputs if isinstance(message, TermHint)]
    assert waited == [250, 250, 250]


def test_a_wrong_sample_rate_is_told_once(served: Served) -> None:
    """Complaint 8: audio that comes three times too fast all the time, as 48 kHz declared as 16 kHz does."""
    live = _live(served)
    told: list[Output] = []
    for number in range(600):
        now_s = number / 30
        told += live.receive(Received(bytes(TENTH), now_s), now_s, 0)
    (warning,) = [message for message in told if isinstance(message, Warning)]
    assert warning.code == "suspect_sample_rate"
    assert "48000" in warning.message


@pytest.mark.parametrize(("limits", "is_spoken"), [(Limits(), False), (Limits(max_realtime_factor=3.0), True)])
def test_a_recording_sent_fast_is_not_suspected(served: Served, limits: Limits, is_spoken: bool) -> None:
    """Where audio need not come as it is spoken, its speed says nothing."""
    live = _live(served, limits, is_spoken=is_spoken)
    told: list[Output] = []
    for number in range(600):
        now_s = number / 30
        told += live.receive(Received(bytes(TENTH), now_s), now_s, 0)
    assert not [message for message in told if isinstance(message, Warning)]


@pytest.mark.parametrize("rate", [8_000, 16_000, 32_000, 44_100, 48_000])
def test_every_rate_is_resampled_here(served: Served, rate: int) -> None:
    """Complaint 8: a client sends what its device gives, and the hints lie where they should."""
    live = _live(served, query=f"{QUERY}&sample_rate={rate}")
    times = np.arange(int(1.6 * rate)) / rate
    tone = np.where((times >= 0.4) & (times < 1.0), 0.5 * np.sin(2 * np.pi * 900 * times), 0.0)
    pcm = float_to_pcm16(tone.astype(np.float32))
    frame = rate // 10 * AudioFormat(sample_rate=rate).bytes_per_frame
    told: list[Output] = []
    for number, start in enumerate(range(0, len(pcm), frame)):
        told += live.receive(Received(pcm[start : start + frame], number / 10), number / 10, 0)
    (hint,) = [message for message in told if isinstance(message, TermHint)]
    assert hint.term == "900 hertz tone"
    assert hint.start == pytest.approx(0.4, abs=0.05)
    assert hint.end == pytest.approx(1.0, abs=0.05)


def test_a_recorded_session_is_kept_as_it_was(served: Served, tmp_path: Path) -> None:
    """Audio and messages are there; the session does not know of it."""
    plain = _hear(_live(served), SPEECH)
    recorder = SessionRecorder.open(tmp_path, "s_1", QUERY, "model", "v1")
    live = _live(served, recorder=recorder)
    recorded = _hear(live, SPEECH)
    live.close()
    assert _without_clock(recorded) == _without_clock(plain)
    (folder,) = tmp_path.iterdir()
    assert (folder / "audio.wav").read_bytes()[44:] == SPEECH
    kept = [json.loads(line)["type"] for line in (folder / "messages.jsonl").read_text().splitlines()]
    assert kept.count("TermHint") == 3


def test_a_recording_that_breaks_is_told_once_and_hurts_nobody(served: Served, tmp_path: Path) -> None:
    """A folder that cannot be made: one warning, and the same hints."""
    (tmp_path / "file").write_text("")
    recorder = SessionRecorder.open(tmp_path / "file", "s_1", QUERY, "model", "v1")
    live = _live(served, recorder=recorder)
    told = _hear(live, SPEECH)
    live.close()
    assert [message.code for message in told if isinstance(message, Warning)] == ["recording_failed"]
    assert str(tmp_path) not in repr(told)
    assert len([message for message in told if isinstance(message, TermHint)]) == 3


@pytest.mark.parametrize("log_terms", [False, True])
def test_terms_are_logged_only_when_asked_for(
    served: Served, log_terms: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What people say is not for a log by itself."""
    with caplog.at_level(logging.DEBUG):
        _hear(_live(served, log_terms=log_terms), SPEECH)
    assert ("hertz" in caplog.text) is log_terms


def _without_clock(outputs: list[Output]) -> list[Output]:
    """Without what the wall clock puts into hints."""
    return [
        replace(output, latency_ms=replace(output.latency_ms, encode=None, score=None, queue=None))
        if isinstance(output, TermHint)
        else output
        for output in outputs
    ]
