"""Streams over connections that break: nothing is lost, nothing is said twice, and the clock goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.client import ServerUnreachable, StreamLost, StreamOptions, StreamRefused, stream_hints
from streaming.protocol import Begin, CloseCode, Error, Metadata, ServerMessage, TermHint
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm, tone_glossary
from tests.streaming.client.faulty_server import Fault, FaultyServer, faulty_server

Served = Mapping[str, ServedGlossary]
TONES = StreamOptions(glossary="tones", target_lang="de")
_ORDER = (900, 1700, 500, 1300, 900, 500, 1700, 1300, 900)
PCM = synthetic_pcm([(0, 400), *((part, ms) for tone in _ORDER for part, ms in ((tone, 600), (0, 700)))])
# The second of each tone: start, rounded.
SPOKEN = [(f"{tone} hertz tone", round(0.4 + 1.3 * index, 1)) for index, tone in enumerate(_ORDER)]


def _chunks(pcm: bytes = PCM) -> list[bytes]:
    return [pcm[start : start + 1280] for start in range(0, len(pcm), 1280)]


async def _read(messages: AsyncIterator[ServerMessage], into: list[ServerMessage]) -> None:
    async for message in messages:
        into.append(message)


def _heard(
    served: Served, faults: Sequence[Fault], options: StreamOptions = TONES, chunks: Iterable[bytes] | None = None
) -> tuple[list[ServerMessage], FaultyServer]:
    """What comes of a stream to a server that fails in this way."""

    async def run() -> tuple[list[ServerMessage], FaultyServer]:
        async with asyncio.timeout(12), faulty_server(served, faults) as server:
            messages = stream_hints(server.url, _chunks() if chunks is None else chunks, options)
            return [message async for message in messages], server

    return asyncio.run(run())


def _spoken(messages: Sequence[ServerMessage]) -> list[tuple[str, float]]:
    return [(message.term, round(message.start, 1)) for message in messages if isinstance(message, TermHint)]


def _without_begin(messages: Sequence[ServerMessage]) -> list[ServerMessage]:
    """What was said, without greetings and without numbers: the client's own markers take some of them."""
    return [replace(message, seq=0) for message in messages if not isinstance(message, Begin)]


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(after_s=0.1)],
        [Fault(after_s=3.0, unsent_s=1.5)],
        [Fault(after_s=2.0), Fault(after_s=0.5), Fault(after_s=0), Fault(after_s=4.0, unsent_s=3.9)],
        [Fault(after_s=5.0, code=CloseCode.RESTART, retry_after_s=0.05)],
        [Fault(after_s=11.0)],
    ],
)
def test_a_resumed_stream_says_what_an_unbroken_one_says(served: Served, faults: Sequence[Fault]) -> None:
    """Complaint 6: a reconnect loses no audio and resets no time. Every message is that of an unbroken stream."""
    unbroken, _ = _heard(served, [])
    heard, server = _heard(served, faults)
    assert _without_begin(heard) == _without_begin(unbroken)
    assert _spoken(heard) == SPOKEN
    assert len(server.sessions) == 1
    assert server.sessions[0].received == len(PCM)
    resumed = [message for message in heard if isinstance(message, Begin) and message.resumed]
    assert len(resumed) == sum(fault.after_s > 0 for fault in faults)


@pytest.mark.parametrize("forget_at_s", [0.2, 1.1, 4.3, 6.0, 9.9, 11.9])
def test_a_restarted_server_goes_on_with_the_clock(served: Served, forget_at_s: float) -> None:
    """A session that the server has forgotten is replaced by another; no hint is lost, doubled or moved."""
    heard, server = _heard(served, [Fault(after_s=forget_at_s, forget=True, unsent_s=0.5)])
    assert _spoken(heard) == SPOKEN
    assert len(server.sessions) == 2
    # At most what had not been worked on and three seconds, down to a whole one, go twice.
    assert sum(session.received for session in server.sessions) <= len(PCM) + 32_000 * (5 + 1 + 4)
    last = heard[-1]
    assert isinstance(last, Metadata)
    assert last.duration == len(PCM) / 32_000
    assert last.hints == len(SPOKEN)
    numbers = [message.seq for message in heard]
    assert numbers == sorted(numbers)
    ids = [message.hint_id for message in heard if isinstance(message, TermHint)]
    assert len(set(ids)) == len(ids)
    occurrences = [message.occurrence for message in heard if isinstance(message, TermHint)]
    assert occurrences == [_ORDER[: index + 1].count(tone) for index, tone in enumerate(_ORDER)]


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Fault,
            after_s=st.floats(0.05, 6.0),
            unsent_s=st.floats(0.0, 3.0),
            forget=st.booleans(),
            code=st.sampled_from([None, CloseCode.RESTART, CloseCode.INTERNAL, CloseCode.IDLE, CloseCode.NOT_READY]),
        ),
        max_size=3,
    )
)
def test_whatever_breaks_the_hints_are_the_same(faults: list[Fault]) -> None:
    """Any sequence of cuts, closes and restarts: every tone once, where it sounds."""
    heard, _ = _heard({"tones": tone_glossary()}, faults)
    assert _spoken(heard) == SPOKEN


def test_settings_outlive_the_session(served: Served) -> None:
    """A threshold that was asked for is asked for again where the server has forgotten the session."""
    heard, server = _heard(served, [Fault(after_s=4.0, forget=True)], replace(TONES, threshold=0.999))
    assert _spoken(heard) == []
    assert [session.texts[0] for session in server.sessions] == [
        '{"type": "Configure", "request_id": "again", "threshold": 0.999}'
    ] * 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (CloseCode.CONFIG, "invalid_config"),
        (CloseCode.AUTH, "wrong_key"),
        (CloseCode.GLOSSARY, "unknown_glossary"),
        (CloseCode.SUPERSEDED, "superseded"),
        (CloseCode.TOO_FAST, "too_fast"),
    ],
)
def test_what_cannot_get_better_is_not_tried_again(served: Served, code: CloseCode, error: str) -> None:
    """A refusal of the wish, the key or the glossary, and a session that another client took, end the stream."""
    heard: list[ServerMessage] = []

    async def run() -> int:
        async with asyncio.timeout(20), faulty_server(served, [Fault(after_s=1.0, code=code, error=error)]) as server:
            with pytest.raises(StreamRefused, match=f"{int(code)} {error}") as refused:
                await _read(stream_hints(server.url, _chunks(), TONES), heard)
            assert refused.value.error.code == error
            return len(server.queries)

    assert asyncio.run(run()) == 1
    assert isinstance(heard[-1], Error)


def test_an_overloaded_server_is_asked_again_when_it_says(served: Served) -> None:
    """Complaint 2: admission control tells when to come again, and the client does; not before, and without an error."""

    async def run() -> tuple[list[ServerMessage], float]:
        loop = asyncio.get_running_loop()
        overloaded = Fault(after_s=0, code=CloseCode.OVERLOADED, error="overloaded", retry_after_s=0.6)
        async with asyncio.timeout(20), faulty_server(served, [overloaded]) as server:
            started = loop.time()
            heard = [message async for message in stream_hints(server.url, _chunks(PCM[:64_000]), TONES)]
            return heard, loop.time() - started

    heard, took_s = asyncio.run(run())
    assert isinstance(heard[0], Begin)
    assert isinstance(heard[-1], Metadata)
    assert took_s >= 0.6


def test_a_server_that_stays_away_is_given_up(served: Served) -> None:
    """The tries are bounded in time, and the error says how long they lasted."""
    notes: list[str] = []

    async def run() -> None:
        async with asyncio.timeout(20):
            async with faulty_server(served, [Fault(after_s=1.0)]) as server:
                messages = stream_hints(server.url, _chunks(), replace(TONES, give_up_s=0.8, notify=notes.append))
                assert isinstance(await anext(messages), Begin)
            async for _ in messages:
                pass

    with pytest.raises(StreamLost, match=r"tried for \d"):
        asyncio.run(run())
    assert any("trying again in" in note for note in notes)


def test_a_server_that_breaks_at_the_same_place_again_is_given_up(served: Served) -> None:
    """Connections that succeed but bring the stream no further are no progress."""
    faults = [Fault(after_s=0.3, forget=True, code=CloseCode.INTERNAL, error="internal")] * 50

    async def run() -> int:
        async with asyncio.timeout(20), faulty_server(served, faults) as server:
            with pytest.raises(StreamRefused, match="1011 internal"):
                async for _ in stream_hints(server.url, _chunks(), replace(TONES, give_up_s=1.0)):
                    pass
            return len(server.queries)

    assert 2 < asyncio.run(run()) < 20


def test_without_resume_a_broken_connection_is_the_end(served: Served) -> None:
    """Who wants no resume is told at once."""

    async def run() -> int:
        async with asyncio.timeout(20), faulty_server(served, [Fault(after_s=1.0)]) as server:
            with pytest.raises(StreamLost, match="closed without a word"):
                async for _ in stream_hints(server.url, _chunks(), replace(TONES, resume=False)):
                    pass
            return len(server.queries)

    assert asyncio.run(run()) == 1


def test_a_server_that_was_never_there_is_not_waited_for(served: Served) -> None:
    """The first connection is not tried again: the address may be wrong."""

    async def run() -> None:
        async with faulty_server(served) as server:
            url = server.url
        async with asyncio.timeout(2):
            async for _ in stream_hints(url, _chunks(), TONES):
                pass

    with pytest.raises(ServerUnreachable, match="termcue serve"):
        asyncio.run(run())


def test_the_user_is_told_what_happens(served: Served) -> None:
    """Loss and return are one sentence each, and the return says what the server still knows."""
    notes: list[str] = []
    faults = [Fault(after_s=2.0), Fault(after_s=5.5, forget=True)]
    _heard(served, faults, replace(TONES, notify=notes.append))
    assert ["trying again in" in note for note in notes] == [True, False, True, False]
    assert notes[1] == "the connection is back; the server goes on where it was"
    assert "has forgotten what was before" in notes[3]
