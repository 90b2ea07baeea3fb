"""Whole conversations over a real socket."""

import asyncio
import logging
import threading
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect

from streaming.events import Event
from streaming.protocol import (
    Begin,
    CloseStream,
    Configure,
    Configured,
    Error,
    Finalize,
    MarkerReached,
    Metadata,
    TermHint,
    encode,
)
from streaming.server import ServerConfig
from streaming.session import HintPipeline, SessionSettings
from streaming.testing import synthetic_pcm
from tests.streaming.server.serving import (
    Served,
    Wrapped,
    read,
    read_to_close,
    refused_at,
    serve_url,
    with_pipeline,
)

TONE = synthetic_pcm([(0, 400), (900, 600), (0, 1000)])


def test_a_stream_goes_from_greeting_to_sum(served: Served) -> None:
    """Over a real socket: Begin, the hint of the tone, Finalize and its marker, Configure, CloseStream, close 1000."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones&target_lang=de") as client:
            begin = await read(client)
            for start in range(0, len(TONE), 3200):
                await client.send(TONE[start : start + 3200])
            for message in (Finalize(), Configure(request_id="c", threshold=0.9), CloseStream()):
                await client.send(encode(message))
            messages, code = await read_to_close(client)
        assert isinstance(begin, Begin)
        hints = [message for message in messages if isinstance(message, TermHint)]
        assert [(hint.term, hint.translation) for hint in hints] == [("900 hertz tone", "Ton von 900 Hertz")]
        assert [m.id for m in messages if isinstance(m, MarkerReached)] == ["finalize"]
        assert [m.effective.threshold for m in messages if isinstance(m, Configured)] == [0.9]
        assert isinstance(messages[-1], Metadata)
        assert (messages[-1].hints, messages[-1].duration, code) == (1, len(TONE) / 32_000, 1000)
        assert [message.seq for message in (begin, *messages)] == list(range(len(messages) + 1))

    serve_url(served, scenario)


def test_sessions_do_not_mix(served: Served) -> None:
    """Clients that stream different tones at the same time each get their own terms only."""

    async def hear(url: str, frequency: int) -> set[str]:
        pcm = synthetic_pcm([(0, 400), (frequency, 600), (0, 800)])
        async with connect(f"{url}?glossary=tones") as client:
            for start in range(0, len(pcm), 3200):
                await client.send(pcm[start : start + 3200])
                await asyncio.sleep(0)
            await client.send(encode(CloseStream()))
            messages, _ = await read_to_close(client)
        return {message.term for message in messages if isinstance(message, TermHint)}

    async def scenario(url: str) -> None:
        heard = await asyncio.gather(*(hear(url, frequency) for frequency in (500, 900, 1300, 1700)))
        assert heard == [{"500 hertz tone"}, {"900 hertz tone"}, {"1300 hertz tone"}, {"1700 hertz tone"}]

    serve_url(served, scenario)


@pytest.mark.parametrize(("query", "code"), [("", 4400), ("?glossary=tones&shout=1", 4400), ("?glossary=lrec", 4404)])
def test_a_wrong_address_is_refused_with_an_error_first(served: Served, query: str, code: int) -> None:
    """The error message goes before the close and carries its code."""

    async def scenario(url: str) -> None:
        _, closed = await refused_at(url + query)
        assert closed == code

    serve_url(served, scenario)


@pytest.mark.parametrize("broken", ["open", "feed"])
def test_a_fault_of_ours_is_told_and_logged(served: Served, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """What breaks inside ends that session with 1011, without its innards, and leaves the server working."""

    class Broken(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            if chunk == b"xx":
                raise ZeroDivisionError("the innards")
            return super().feed(chunk)

    def refuse(_: SessionSettings) -> HintPipeline:
        raise ZeroDivisionError("the innards")

    served = {**with_pipeline(served, Broken), "broken": replace(served["tones"], open=refuse)}

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary={'broken' if broken == 'open' else 'tones'}") as client:
            await client.send(b"xx")
            messages, code = await read_to_close(client)
        assert isinstance(messages[-1], Error)
        assert (messages[-1].code, messages[-1].seq, code) == ("internal", len(messages) - 1, 1011)
        assert "innards" not in messages[-1].message
        async with connect(f"{url}?glossary=tones") as client:
            assert isinstance(await read(client), Begin)

    with caplog.at_level(logging.ERROR, "streaming"):
        serve_url(served, scenario)
    assert "the innards" in caplog.text


def test_inference_leaves_the_event_loop_free(served: Served) -> None:
    """While a session works on a frame, other clients are greeted and answered."""
    begun, release = threading.Event(), threading.Event()

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            if chunk == b"xx":
                begun.set()
                assert release.wait(10)
            return super().feed(chunk)

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        async with connect(address) as slow, connect(address) as quick:
            await slow.send(b"xx")
            await asyncio.to_thread(begun.wait, 10)
            await quick.send(encode(CloseStream()))
            messages, code = await read_to_close(quick)
            release.set()
        assert isinstance(messages[-1], Metadata)
        assert code == 1000

    serve_url(with_pipeline(served, Slow), scenario, ServerConfig(threads=2))
