"""What a program says to a server while it streams, and that it arrives once over connections that break."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from streaming.client import HintStream, StreamOptions, StreamRefused
from streaming.errors import SettingError, WireError
from streaming.protocol import (
    Begin,
    CloseCode,
    Configured,
    Limits,
    MarkerReached,
    Metadata,
    ServerMessage,
    TermHint,
)
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm
from tests.streaming.client.faulty_server import Fault, FaultyServer, faulty_server

Served = Mapping[str, ServedGlossary]
TONES = StreamOptions(glossary="tones")
TWO_TONES = synthetic_pcm([(0, 400), (900, 600), (0, 800), (1700, 600), (0, 800)])
Talk = Callable[[HintStream, FaultyServer], Awaitable[None]]


def _talk(
    served: Served,
    talk: Talk,
    faults: Sequence[Fault] = (),
    options: StreamOptions = TONES,
    limits: Limits | None = None,
) -> tuple[list[ServerMessage], FaultyServer]:
    """Say what `talk` says, then close; all that the server says, and the server."""

    async def run() -> tuple[list[ServerMessage], FaultyServer]:
        async with (
            asyncio.timeout(20),
            faulty_server(served, faults, limits) as server,
            HintStream(server.url, options) as stream,
        ):
            await talk(stream, server)
            await stream.close()
            return [message async for message in stream], server

    return asyncio.run(run())


def _said(server: FaultyServer, kind: str) -> list[dict[str, object]]:
    """The client's messages of that type, over all sessions."""
    read = [json.loads(text) for session in server.sessions for text in session.texts]
    return [message for message in read if message["type"] == kind]


def _terms(messages: Sequence[ServerMessage]) -> list[str]:
    return [message.term for message in messages if isinstance(message, TermHint)]


def test_settings_are_confirmed_and_hold_from_there_on(served: Served) -> None:
    """`configure` gives what is in force, and hints before it stay."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        await stream.send_audio(TWO_TONES[:44_800])
        configured = await stream.configure(threshold=0.999)
        assert configured.effective.threshold == 0.999
        await stream.send_audio(TWO_TONES[44_800:])

    heard, _ = _talk(served, talk)
    assert _terms(heard) == ["900 hertz tone"]
    assert sum(isinstance(message, Configured) for message in heard) == 1


def test_a_setting_that_is_refused_changes_nothing(served: Served) -> None:
    """The refusal is raised with the server's own code and field; the stream goes on as before."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        with pytest.raises(StreamRefused, match="profile") as refused:
            await stream.configure(profile="loud")
        assert (refused.value.error.code, refused.value.error.field) == ("invalid_config", "profile")
        await stream.send_audio(TWO_TONES)

    heard, _ = _talk(served, talk)
    assert _terms(heard) == ["900 hertz tone", "1700 hertz tone"]


def test_muted_entries_come_back(served: Served) -> None:
    """Mutes add up, and one can be taken back."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        await stream.mute(["tones:900"])
        both = await stream.mute(["tones:1700"])
        assert both.effective.mute_entries == ("tones:1700", "tones:900")
        await stream.mute(["tones:1700"], muted=False)
        await stream.send_audio(TWO_TONES)

    heard, _ = _talk(served, talk)
    assert _terms(heard) == ["1700 hertz tone"]


def test_entries_can_be_muted_from_the_start(served: Served) -> None:
    """By an option, also in a session that takes the place of the first; `mute` adds to it and takes it back."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        await stream.send_audio(TWO_TONES)

    muted = replace(TONES, mute_entries=("tones:900",))
    heard, _ = _talk(served, talk, [Fault(after_s=1.0, forget=True)], muted)
    assert _terms(heard) == ["1700 hertz tone"]

    async def unmute(stream: HintStream, _: FaultyServer) -> None:
        back = await stream.mute(["tones:900"], muted=False)
        assert back.effective.mute_entries == ()
        await stream.send_audio(TWO_TONES)

    heard, _ = _talk(served, unmute, [], muted)
    assert _terms(heard) == ["900 hertz tone", "1700 hertz tone"]


def test_finalize_returns_when_its_hints_are_there(served: Served) -> None:
    """What was said before `finalize` has been decided when it returns; the stream stays usable."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        # The hop is not over, so the server would wait for more.
        await stream.send_audio(TWO_TONES[: 32_000 + 6_400])
        await stream.finalize()
        so_far = [await anext(stream) for _ in range(3)]
        assert _terms(so_far) == ["900 hertz tone"]
        await stream.send_audio(TWO_TONES[32_000 + 6_400 :])

    heard, _ = _talk(served, talk)
    assert _terms(heard) == ["1700 hertz tone"]
    assert sum(isinstance(message, MarkerReached) for message in heard) <= 1


def test_what_was_asked_is_asked_again_where_the_connection_broke(served: Served) -> None:
    """A configure, a mute and a finalize on their way into a restart are answered once each, by the next session."""

    async def talk(stream: HintStream, server: FaultyServer) -> None:
        await stream.send_audio(TWO_TONES[:19_200])
        await stream.configure(max_hints_per_window=2)
        # The server dies on this audio; what follows it cannot have arrived.
        await stream.send_audio(TWO_TONES[19_200:44_800])
        configured, _ = await asyncio.gather(stream.configure(threshold=0.6), stream.finalize())
        assert (configured.effective.threshold, configured.effective.max_hints_per_window) == (0.6, 2)
        await stream.mute(["tones:1700"])
        await stream.send_audio(TWO_TONES[44_800:])

    heard, server = _talk(served, talk, [Fault(after_s=1.0, forget=True)])
    assert _terms(heard) == ["900 hertz tone"]
    assert sum(isinstance(message, Configured) for message in heard) == 3
    assert sum(isinstance(message, MarkerReached) for message in heard) == 1
    first_of_second = json.loads(server.sessions[1].texts[0])
    assert (first_of_second["request_id"], first_of_second["max_hints_per_window"]) == ("again", 2)


def test_feedback_reaches_the_session_that_gave_the_hint(served: Served) -> None:
    """Hints have names of their own over all sessions; feedback carries the name that the server knows."""
    names: list[str] = []

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        await stream.send_audio(TWO_TONES)
        async for message in stream:
            if isinstance(message, TermHint):
                names.append(message.hint_id)
                if len(names) == 2:
                    break
        await stream.feedback(names[0], "right")
        await stream.feedback(names[1], "wrong", "said otherwise")

    # The second session hears the first tone again, and calls the second h2 too.
    _, server = _talk(served, talk, [Fault(after_s=1.5, forget=True)])
    assert len(set(names)) == 2
    (sent,) = _said(server, "Feedback")
    assert (sent["hint_id"], sent["verdict"], sent["note"]) == ("h2", "wrong", "said otherwise")


def test_a_verdict_is_right_or_wrong(served: Served) -> None:
    """Another word is refused before it is sent."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        with pytest.raises(SettingError, match="give right or wrong"):
            await stream.feedback("h1", "maybe")  # type: ignore[arg-type]

    _, server = _talk(served, talk)
    assert _said(server, "Feedback") == []


def test_entering_raises_why_there_is_no_stream(served: Served) -> None:
    """A refusal is raised where the stream is opened, typed, and nothing is left open."""

    async def run() -> None:
        refusal = Fault(after_s=0, code=CloseCode.AUTH, error="wrong_key")
        async with faulty_server(served, [refusal]) as server, HintStream(server.url, TONES):
            pass

    with pytest.raises(StreamRefused, match="4401 wrong_key"):
        asyncio.run(run())


def test_a_stream_that_is_over_takes_nothing(served: Served) -> None:
    """After the sum, audio and settings are refused in one sentence, and the iteration stays at its end."""

    async def run() -> None:
        async with asyncio.timeout(20), faulty_server(served) as server, HintStream(server.url, TONES) as stream:
            await stream.close()
            assert [type(message) async for message in stream] == [Begin, Metadata]
            assert [message async for message in stream] == []
            with pytest.raises(WireError, match="over: open another"):
                await stream.send_audio(bytes(640))
            with pytest.raises(WireError, match="over: open another"):
                await stream.finalize()

    asyncio.run(run())


def test_whoever_waits_for_an_answer_hears_of_the_end(served: Served) -> None:
    """A stream that is given up fails the calls that wait, with its own reason."""

    async def run() -> None:
        options = replace(TONES, give_up_s=0.3)
        async with (
            asyncio.timeout(20),
            faulty_server(served, [Fault(after_s=0.5)] + [Fault(after_s=0)] * 20) as server,
            HintStream(server.url, options) as stream,
        ):
            await stream.send_audio(TWO_TONES)
            with pytest.raises(WireError, match="tried for"):
                await stream.finalize()

    asyncio.run(run())


def test_audio_waits_for_room_and_not_for_ever(served: Served) -> None:
    """Where the server is away the ring fills up, then `send_audio` waits; the end of the stream wakes it."""

    async def run() -> None:
        options = replace(TONES, ahead_s=1, ring_s=3, give_up_s=1)
        async with (
            asyncio.timeout(20),
            faulty_server(served, [Fault(after_s=0.2)] + [Fault(after_s=0)] * 50) as server,
            HintStream(server.url, options) as stream,
        ):
            for _ in range(30):
                await stream.send_audio(bytes(3200))
            with pytest.raises(WireError, match="not heard to its end"):
                await stream.send_audio(bytes(3200))

    asyncio.run(run())


def test_the_servers_limits_are_kept(served: Served) -> None:
    """No frame is longer and no audio comes faster than `Begin` allows."""
    limits = Limits(max_frame_bytes=1000, max_realtime_factor=4.0, max_burst_s=1.0)

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        started = asyncio.get_running_loop().time()
        await stream.send_audio(TWO_TONES)
        await stream.finalize()
        took_s = asyncio.get_running_loop().time() - started
        assert took_s >= (len(TWO_TONES) / 32_000 - 1.0) / 4.0

    heard, _ = _talk(served, talk, limits=limits)
    assert _terms(heard) == ["900 hertz tone", "1700 hertz tone"]


def test_worked_off_gives_what_was_said_of_the_audio_so_far(served: Served) -> None:
    """Crumbs of audio count, the messages come out once, and our marker is not among them."""

    async def talk(stream: HintStream, _: FaultyServer) -> None:
        await stream.send_audio(TWO_TONES[:44_810])
        said = await stream.worked_off()
        assert isinstance(said[0], Begin)
        assert _terms(said) == ["900 hertz tone"]
        assert not any(isinstance(message, MarkerReached) for message in said)
        assert await stream.worked_off() == []
        await stream.send_audio(TWO_TONES[44_810:])

    heard, server = _talk(served, talk, [Fault(after_s=0.7), Fault(after_s=0.6, forget=True)])
    assert _terms(heard) == ["1700 hertz tone"]
    assert len(server.sessions) == 2
