import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection

from streaming.audio import AudioFormat
from streaming.client import stream_hints
from streaming.errors import AudioError, WireError
from streaming.protocol import Begin, Limits, MarkerReached, Metadata, TermHint, Warning
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.testing import synthetic_pcm
from tests.streaming.client.client_runs import BEGIN, PCM, TONES, Served, stream, stream_to


@pytest.mark.parametrize("size", [1, 640, 3201, len(PCM)])
def test_hints_come_whatever_the_chunks(served: Served, size: int) -> None:
    """The messages of a stream are the same for any chunks: greeting first, sum last, none of our own markers."""
    pcm = PCM if size > 1 else PCM[:2000]
    heard = stream(served, [pcm[start : start + size] for start in range(0, len(pcm), size)])
    assert isinstance(heard[0], Begin)
    assert isinstance(heard[-1], Metadata)
    assert heard[-1].duration == len(pcm) / 32_000
    assert not any(isinstance(message, MarkerReached) for message in heard)
    if size > 1:
        terms = [message.term for message in heard if isinstance(message, TermHint)]
        assert terms == ["900 hertz tone", "1700 hertz tone"]


def test_the_format_and_the_wishes_reach_the_server(served: Served) -> None:
    """Rate, channels, profile and language of the options are those of the session."""
    stereo = AudioFormat(sample_rate=48_000, channels=2)
    options = replace(TONES, format=stereo, profile="mt", target_lang="de", vad_events=False)
    heard = stream(served, [synthetic_pcm([(0, 400), (500, 600), (0, 800)], stereo)], options)
    begin, hint, metadata = heard
    assert isinstance(begin, Begin)
    assert isinstance(hint, TermHint)
    assert isinstance(metadata, Metadata)
    assert (begin.profile, begin.audio.sample_rate, begin.audio.channels) == ("mt", 48_000, 2)
    assert (hint.term, hint.translation, metadata.duration) == ("500 hertz tone", "Ton von 500 Hertz", 1.8)


def test_a_source_goes_no_faster_than_the_server_works() -> None:
    """At most the seconds ahead and one that is being filled are under way, so a slow server never has to push back."""
    under_way: list[float] = []

    async def answer(websocket: ServerConnection) -> None:
        await websocket.send(BEGIN)
        received = worked = 0
        while worked < 10:
            # Whatever comes while the server is busy.
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    while True:
                        frame = await websocket.recv()
                        received += len(frame) if isinstance(frame, bytes) else 0
            under_way.append(received / 32_000 - worked)
            worked += 1
            await websocket.send(
                f'{{"type":"Marker","seq":{worked},"id":"flow-{16_000 * worked}-0","audio_processed_s":{worked}}}'
            )
        await websocket.close()

    with pytest.raises(WireError, match="closed with code 1000"):
        stream_to(answer, replace(TONES, ahead_s=2), [bytes(3200)] * 200)
    assert all(1.9 <= seconds <= 2.1 for seconds in under_way)


def test_a_source_that_pauses_keeps_its_session(served: Served) -> None:
    """While a source gives nothing, the client tells the server that it lives."""

    def chunks() -> Iterator[bytes]:
        yield bytes(640)
        time.sleep(1.8)
        yield bytes(640)

    config = ServerConfig(connection=ConnectionConfig(limits=Limits(idle_timeout_s=0.9)))
    heard = stream(served, chunks(), replace(TONES, keep_alive_s=0.05), config)
    assert isinstance(heard[-1], Metadata)
    assert heard[-1].duration == 0.04


def test_a_source_that_breaks_is_what_the_caller_hears_of(served: Served) -> None:
    """The source's own error is raised, not that of the connection."""

    def chunks() -> Iterator[bytes]:
        yield bytes(3200)
        raise AudioError("the microphone was pulled out")

    with pytest.raises(AudioError, match="pulled out"):
        stream(served, chunks())


def test_a_caller_may_leave_early(served: Served) -> None:
    """Closing the iterator ends the connection, even while the source gives nothing."""
    over = threading.Event()

    def endless() -> Iterator[bytes]:
        yield PCM
        over.wait(10)

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            messages = stream_hints(server.url, endless(), TONES)
            async for message in messages:
                if isinstance(message, TermHint):
                    break
            await messages.aclose()

    started = time.monotonic()
    asyncio.run(run())
    over.set()
    assert time.monotonic() - started < 5


def test_messages_of_a_newer_server_are_passed_over() -> None:
    """A type that is not known yet does not disturb the stream."""

    async def answer(websocket: ServerConnection) -> None:
        await websocket.send('{"type":"Novelty","seq":1,"lag_s":0.2}')
        await websocket.send('{"type":"Warning","seq":2,"code":"c","message":"m"}')
        await websocket.send(
            '{"type":"Metadata","seq":3,"session_id":"s","duration":1,"hints":0,"abstained_windows":0,"from_close":true}'
        )
        await websocket.wait_closed()

    assert [type(message) for message in stream_to(answer)] == [Warning, Metadata]


def test_the_key_goes_into_the_header() -> None:
    """The key is sent as a bearer token and stands in no address."""
    seen: list[str | None] = []

    async def answer(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.extend([websocket.request.headers.get("Authorization"), websocket.request.path])
        await websocket.close()

    with pytest.raises(WireError):
        stream_to(answer, replace(TONES, api_key="sesame"))
    assert seen[0] == "Bearer sesame"
    assert "sesame" not in str(seen[1])
