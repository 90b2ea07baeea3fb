from streaming.protocol import Limits
from streaming.server.live_session import LiveSession
from streaming.server.metrics import ServerMetrics
from streaming.server.resumable import ResumableSessions
from streaming.server.tokens import ShortTokens
from streaming.session import open_session
from tests.streaming.server.serving import QUERY, Served


def test_a_token_opens_one_door_once() -> None:
    """Within its time; another one, or the same again, does not."""
    now_s = [0.0]
    tokens = ShortTokens(life_s=60, clock=lambda: now_s[0])
    token, late = tokens.issue(), tokens.issue()
    assert not tokens.redeem("t_guess")
    assert not tokens.redeem("\udcff")
    assert tokens.redeem(token)
    assert not tokens.redeem(token)
    now_s[0] = 60.0
    assert not tokens.redeem(late)


def test_tokens_are_not_kept_without_bound() -> None:
    """Of very many the oldest is forgotten."""
    tokens = ShortTokens()
    first = tokens.issue()
    last = [tokens.issue() for _ in range(10_000)][-1]
    assert not tokens.redeem(first)
    assert tokens.redeem(last)


def test_waiting_sessions_are_bounded_in_number_and_time(served: Served) -> None:
    """Complaint 4: the longest waiting one makes room, the others leave in time, and each end is told once."""

    def live() -> LiveSession:
        session, _ = open_session(QUERY, served, session_id="s_1", limits=Limits())
        assert session is not None
        return LiveSession(session, ServerMetrics())

    now_s = [0.0]
    ended: list[LiveSession] = []
    sessions = ResumableSessions(2, 60, ended.append, clock=lambda: now_s[0])
    first, second, third = live(), live(), live()
    sessions.add("one", first)
    sessions.park("one")
    now_s[0] = 1.0
    sessions.add("two", second)
    sessions.park("two")
    sessions.add("three", third)
    assert ended == [first]
    assert sessions.find("one") is None
    now_s[0] = 61.0
    assert sessions.find("two") is second
    now_s[0] = 61.1
    assert sessions.find("two") is None
    assert sessions.find("three") is third
    sessions.park("two")
    assert sessions.parked == 0
    sessions.clear()
    assert ended == [first, second, third]
