"""What is sent, in which order, and what is sent again."""

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.audio import AudioFormat
from streaming.client import StreamOptions
from streaming.client.audio_ring import AudioRing
from streaming.client.outgoing import Outgoing
from streaming.client.reconnecting import Again, Backoff, Lost, plan_after, tried_for
from streaming.client.send_pace import SendPace
from streaming.errors import SettingError
from streaming.protocol import CloseCode, Error, Feedback, Finalize, KeepAlive, Limits

RATE = 8_000
MONO = AudioFormat(sample_rate=RATE)


def _pcm(frames: int, start: int = 0) -> bytes:
    return b"".join((index % 30_000).to_bytes(2, "little") for index in range(start, start + frames))


def _outgoing(ahead_s: float = 2, ring_s: float = 10) -> Outgoing:
    outgoing = Outgoing(MONO, ahead_s, ring_s)
    outgoing.restart(0, None, is_resumed=False)
    return outgoing


def _drain(outgoing: Outgoing) -> list[bytes | str]:
    sent: list[bytes | str] = []
    while (frame := outgoing.next(0.0)) is not None:
        sent.append(frame)
    return sent


def _markers(sent: list[bytes | str]) -> list[str]:
    read = [json.loads(frame) for frame in sent if isinstance(frame, str)]
    return [message["id"] for message in read if message["type"] == "Marker"]


def _audio(sent: list[bytes | str]) -> bytes:
    return b"".join(frame for frame in sent if isinstance(frame, bytes))


def test_messages_keep_their_place_in_the_audio() -> None:
    """All audio before a message goes before it, crumbs too; none after it."""
    outgoing = _outgoing()
    outgoing.add_audio(_pcm(90))
    assert _drain(outgoing) == []
    outgoing.add(Finalize())
    outgoing.add_audio(_pcm(200, 90))
    assert _drain(outgoing) == [_pcm(90), '{"type": "Finalize"}', _pcm(200, 90)]


def test_a_marker_goes_once_a_second_and_bounds_what_is_under_way() -> None:
    """Two seconds ahead, then nothing until the server sends a marker back."""
    outgoing = _outgoing(ahead_s=2)
    outgoing.add_audio(_pcm(5 * RATE))
    first = _drain(outgoing)
    assert len(_audio(first)) == 2 * 2 * RATE
    assert _markers(first) == ["flow-8000-0", "flow-16000-0"]
    assert outgoing.is_flow("flow-8000-0")
    assert len(_audio(_drain(outgoing))) == 2 * RATE
    assert not outgoing.is_flow("mine")


def test_the_ring_is_full_of_what_waits_and_no_more() -> None:
    """Audio that the server has worked on makes room."""
    outgoing = _outgoing(ring_s=3)
    outgoing.add_audio(_pcm(3 * RATE))
    assert not outgoing.has_room
    _drain(outgoing)
    outgoing.is_flow("flow-8000-0")
    assert outgoing.has_room


def test_after_a_resume_the_rest_is_sent_and_what_may_be_lost() -> None:
    """From where the server has the audio on; messages that it may not have, and a marker for what it has."""
    outgoing = _outgoing(ahead_s=5)
    outgoing.add(Feedback(hint_id="h1", verdict="right"))
    outgoing.add_audio(_pcm(2 * RATE))
    outgoing.add(Finalize(), "finalize")
    sent = _drain(outgoing)
    assert sent[-2] == '{"type": "Finalize"}'
    # The server sent back the first marker, so it has the feedback; the rest is unknown.
    outgoing.is_flow(_markers(sent)[0])
    assert outgoing.can_go_on_from(12_000)
    outgoing.restart(12_000, None, is_resumed=True)
    again = _drain(outgoing)
    assert _markers(again)[0] == "flow-12000-0"
    assert _audio(again) == _pcm(4_000, 12_000)
    assert [frame for frame in again if isinstance(frame, str) and "Marker" not in frame] == ['{"type": "Finalize"}']


def test_a_marker_confirms_only_what_was_sent_before_it_on_the_same_connection() -> None:
    """The marker that opens a resumed connection goes before a message that was lost, and does not settle it."""
    outgoing = _outgoing(ahead_s=5)
    outgoing.add_audio(_pcm(RATE + 800))
    outgoing.add(Finalize(), "finalize")
    _drain(outgoing)
    outgoing.restart(RATE, None, is_resumed=True)
    first = outgoing.next(0.0)
    assert isinstance(first, str)
    assert outgoing.is_flow(json.loads(first)["id"])
    assert '{"type": "Finalize"}' in _drain(outgoing)


def test_what_was_answered_is_not_asked_again() -> None:
    """An answer settles the oldest question of its kind, once."""
    outgoing = _outgoing()
    outgoing.add(Finalize(), "finalize")
    outgoing.add(KeepAlive())
    _drain(outgoing)
    assert outgoing.settle("finalize")
    assert not outgoing.settle("finalize")
    outgoing.restart(0, None, is_resumed=True)
    assert _drain(outgoing) == ['{"type": "KeepAlive"}']


def test_a_session_in_place_of_another_hears_three_seconds_again() -> None:
    """It starts at a whole second, at least three before what was worked on, and the ring still has that."""
    outgoing = _outgoing(ahead_s=8)
    outgoing.add_audio(_pcm(8 * RATE))
    _drain(outgoing)
    outgoing.is_flow(f"flow-{round(6.4 * RATE)}-0")
    assert outgoing.rewound == 3 * RATE
    assert outgoing.can_go_on_from(3 * RATE)
    assert not outgoing.can_go_on_from(3 * RATE - 1)
    assert not outgoing.can_go_on_from(8 * RATE + 1)
    outgoing.put_first(Finalize(), "first")
    outgoing.put_first(Finalize(), "first")
    outgoing.restart(outgoing.rewound, None, is_resumed=False)
    again = _drain(outgoing)
    assert again[:2] == ['{"type": "Finalize"}', _pcm(800, 3 * RATE)]
    assert _audio(again) == _pcm(5 * RATE, 3 * RATE)


def test_the_limits_of_the_server_are_kept() -> None:
    """Frames stay below its bound, and audio below its rate."""
    outgoing = Outgoing(MONO, 5, 10)
    outgoing.restart(0, Limits(max_frame_bytes=101, max_realtime_factor=2.0, max_burst_s=1.0), is_resumed=False)
    outgoing.add_audio(_pcm(4 * RATE))
    sent = _drain(outgoing)
    assert {len(frame) for frame in sent if isinstance(frame, bytes)} == {100}
    assert 0.85 <= len(_audio(sent)) / 2 / RATE <= 0.9
    assert outgoing.pause_s == pytest.approx(50 / RATE / 2, rel=0.1)


@given(st.floats(0.2, 5), st.floats(0.2, 5), st.lists(st.floats(0, 1), max_size=60))
def test_audio_never_comes_faster_than_allowed(factor: float, burst_s: float, waits: list[float]) -> None:
    """Whenever it is asked, what has been let go stays within the server's own count."""
    pace = SendPace(factor, burst_s)
    now_s = sent_s = 0.0
    for wait_s in waits:
        now_s += wait_s
        while not pace.wait_s(0.05, now_s):
            sent_s += 0.05
            assert sent_s <= burst_s + factor * now_s + 1e-6


def test_a_pause_is_long_enough() -> None:
    """After the time that it names, audio may go."""
    pace = SendPace(1.5, 1.0)
    now_s = 0.0
    for _ in range(50):
        pause_s = pace.wait_s(0.1, now_s)
        now_s += pause_s
        assert pause_s == 0.0 or pace.wait_s(0.1, now_s) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=20))
def test_the_ring_is_a_window_of_the_stream(steps: list[tuple[int, int]]) -> None:
    """What is kept is what was put in, at its place, whatever was forgotten."""
    ring, numbers, whole = AudioRing(2), count(), b""
    for added, forgotten in steps:
        pcm = b"".join(next(numbers).to_bytes(2, "little") for _ in range(added))
        whole += pcm
        ring.append(pcm)
        ring.forget(ring.start + forgotten - 10)
        assert ring.end == len(whole) // 2
        assert ring.read(ring.start, 10_000) == whole[2 * ring.start :]


@pytest.mark.parametrize(
    ("lost", "plan"),
    [
        (Lost(), Again(0, session_gone=False, at_once=False)),
        (Lost(code=1006), Again(0, session_gone=False, at_once=False)),
        (Lost(code=1001), Again(0, session_gone=False, at_once=False)),
        (Lost(code=1011), Again(0, session_gone=True, at_once=False)),
        (Lost(code=4408), Again(0, session_gone=True, at_once=False)),
        (Lost(code=4410), Again(0, session_gone=True, at_once=True)),
        (Lost(code=4503), Again(0, session_gone=False, at_once=False)),
        *((Lost(code=code), None) for code in (1000, 1002, 1007, 1009, 4400, 4401, 4404, 4409, 4429)),
    ],
)
def test_each_close_has_its_consequence(lost: Lost, plan: Again | None) -> None:
    """Try again, with the session or without it, or never."""
    assert plan_after(lost) == plan


def test_the_server_says_when() -> None:
    """The error that precedes a close says more than the close."""
    error = Error(seq=0, code="overloaded", close_code=CloseCode.OVERLOADED, fatal=True, message="m", retry_after_s=7)
    assert plan_after(Lost(error)) == Again(7, session_gone=False, at_once=False)


def test_a_stream_that_is_given_up_says_what_was_tried() -> None:
    """No time at all is not told as 0 s of trying: the server, or the user, left no room for a try."""
    assert tried_for(0.94, 8.0, 1) == "tried for 0.9 s"
    never = tried_for(0.001, 5.0, 2)
    assert never == "not tried again: the next try, in 5.0 s, is later than the 2 s to give up after"


def test_tries_come_less_and_less_often_and_not_all_at_once() -> None:
    """Delays double up to 8 s; two clients wait differently; success starts anew."""
    first, second = Backoff(seed=1), Backoff(seed=2)
    delays = [first.next_s() for _ in range(10)]
    assert all(0.125 * 2**n <= delay <= 0.25 * 2**n for n, delay in enumerate(delays[:5]))
    assert all(4 <= delay <= 8 for delay in delays[6:])
    assert delays != [second.next_s() for _ in range(10)]
    first.reset()
    assert first.next_s() <= 0.25


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5},
        {"false_hints_per_hour": 0},
        {"ahead_s": 0.5},
        {"ring_s": 5.0},
        {"keep_alive_s": 0},
        {"ping_s": -1},
    ],
)
def test_options_out_of_their_range_are_refused(wrong: dict[str, float]) -> None:
    """The sentence names the option and its value."""
    (name,) = wrong
    with pytest.raises(SettingError, match=name):
        StreamOptions(glossary="g", **wrong)  # type: ignore[arg-type]
