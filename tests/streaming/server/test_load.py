"""Clients that send too much at once harm neither themselves nor others."""

import asyncio
import threading
import time

from websockets.asyncio.client import connect

from streaming.events import Event
from streaming.protocol import (
    CloseStream,
    Metadata,
    Warning,
    encode,
)
from streaming.server import ConnectionConfig, ServerConfig
from tests.streaming.server.serving import (
    Served,
    Wrapped,
    read_to_close,
    serve_url,
    with_pipeline,
)


def test_audio_that_comes_too_fast_waits_and_the_client_is_told(served: Served) -> None:
    """A full queue slows the client down, is told once for each stretch, and no audio is lost."""

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            time.sleep(0.002)
            return super().feed(chunk)

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones&vad_events=false") as client:
            for _ in range(100):
                await client.send(bytes(3200))
            await client.send(encode(CloseStream()))
            messages, code = await read_to_close(client)
        warnings = [message for message in messages if isinstance(message, Warning)]
        assert [warning.code for warning in warnings] == ["backpressure"]
        assert isinstance(messages[-1], Metadata)
        assert (messages[-1].duration, code) == (10.0, 1000)

    config = ServerConfig(connection=ConnectionConfig(queue_bytes=10_000))
    serve_url(with_pipeline(served, Slow), scenario, config)


def test_a_giant_frame_does_not_make_others_wait(served: Served) -> None:
    """Complaint 2: while one session works on half a minute in one frame, another one is served in between."""
    worked: list[int] = []
    begun = threading.Event()

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            begun.set()
            time.sleep(len(chunk) / 1_000_000)
            worked.append(len(chunk))
            return super().feed(chunk)

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as greedy, connect(f"{url}?glossary=tones") as other:
            await greedy.send(bytes(1_000_000))
            await asyncio.to_thread(begun.wait, 10)
            await other.send(bytes(320))
            await other.send(encode(CloseStream()))
            await read_to_close(other)
        assert 320 in worked
        assert sum(worked[: worked.index(320)]) < 900_000

    serve_url(with_pipeline(served, Slow), scenario, ServerConfig(threads=1))


def test_a_flood_of_tiny_frames_is_bounded_like_audio(served: Served) -> None:
    """Complaint 4: frames of one byte, and empty ones, wait in a bounded queue; none is lost."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones&vad_events=false") as client:
            for _ in range(3000):
                await client.send(b"\0")
            await client.send(b"")
            await client.send(encode(CloseStream()))
            messages, code = await read_to_close(client)
        assert isinstance(messages[-1], Metadata)
        assert (messages[-1].duration, code) == (1500 / 16_000, 1000)
        assert "empty_frame" in [message.code for message in messages if isinstance(message, Warning)]

    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(queue_bytes=2000)))
