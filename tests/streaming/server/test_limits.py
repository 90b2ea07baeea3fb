"""What a client may not do, and what it is told."""

import asyncio
import json
import socket
import threading

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from streaming.protocol import (
    Begin,
    CloseStream,
    Error,
    KeepAlive,
    Limits,
    encode,
)
from streaming.server import ConnectionConfig, ServerConfig
from tests.streaming.server.serving import (
    Served,
    http,
    read,
    read_to_close,
    refused_at,
    serve_url,
)


def test_a_full_server_says_when_to_come_back(served: Served) -> None:
    """Above max_sessions a client gets retry_after_s and 1013; a place that is free again is given away."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        async with connect(address) as client:
            await read(client)
            error, code = await refused_at(address)
            assert (error.retry_after_s, code) == (7, 1013)
        for _ in range(100):
            async with connect(address) as client:
                if isinstance(await read(client), Begin):
                    return
            await asyncio.sleep(0.02)
        pytest.fail("the place was not given back")

    serve_url(served, scenario, ServerConfig(max_sessions=1, retry_after_s=7))


@pytest.mark.parametrize("size", [2_001, 300_000])
def test_a_frame_that_is_too_big_is_refused_with_an_error_first(served: Served, size: int) -> None:
    """1009 comes after an error that is numbered like every message, however much too big the frame is."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await read(client)
            await client.send(bytes(2_000))
            await client.send(bytes(size))
            messages, code = await read_to_close(client)
        (error,) = messages
        assert isinstance(error, Error)
        assert (error.seq, error.code, error.close_code, code) == (0, "frame_too_big", 1009, 1009)

    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(limits=Limits(max_frame_bytes=2_000))))


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\x83\x80\0\0\0\0", 1002), (b"\x81\x82\0\0\0\0\xff\xfe", 1007)],
    ids=["unknown kind of frame", "text that is not UTF-8"],
)
def test_a_broken_frame_is_refused_with_an_error_first(served: Served, frame: bytes, code: int) -> None:
    """Even what the websocket library refuses itself is told in a message before the close."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await read(client)
            client.transport.write(frame)
            messages, closed = await read_to_close(client)
        (error,) = messages
        assert isinstance(error, Error)
        assert (error.seq, error.code, error.close_code, closed) == (0, "broken_frame", code, code)

    serve_url(served, scenario)


def test_a_silent_client_is_dismissed(served: Served) -> None:
    """4408 comes after the announced idle time."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            messages, code = await read_to_close(client)
        assert isinstance(messages[-1], Error)
        assert (messages[-1].code, code) == ("idle", 4408)

    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(limits=Limits(idle_timeout_s=0.2))))


def test_a_client_that_takes_no_message_is_cut_off(served: Served) -> None:
    """A client that never reads cannot hold its place: its connection is cut after the send timeout."""
    closed = threading.Event()

    async def scenario(url: str) -> None:
        host, port = url.removeprefix("ws://").split("/")[0].split(":")
        # A hand-made client: the library's would messages in the background.
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        writer.write(
            b"GET /v1/hints?glossary=tones HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        marker = _masked(b'{"type":"Marker","id":"' + b"m" * 60_000 + b'"}')

        async def flood() -> None:
            while True:
                writer.write(marker)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await flood()
        closed.set()
        writer.close()

    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(send_timeout_s=0.2)))
    assert closed.is_set()


def _masked(payload: bytes) -> bytes:
    """A client's text frame of 126..65535 bytes, masked with zeros."""
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


def test_a_client_that_vanishes_gives_its_place_back(served: Served) -> None:
    """A connection that breaks off ends its session without a trace of an error."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await read(client)
            client.transport.abort()
        health_url = url.replace("ws://", "http://").replace("/v1/hints", "/health")
        for _ in range(100):
            health = await http("GET", health_url)
            if json.loads(health[2])["sessions"] == 0:
                return
            await asyncio.sleep(0.02)
        pytest.fail("the session lives on")

    serve_url(served, scenario)


def test_a_client_that_says_it_lives_is_kept(served: Served) -> None:
    """Complaint 5: KeepAlive, or silence sent as audio, holds the connection for longer than the announced time."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            begin = await read(client)
            assert isinstance(begin, Begin)
            assert begin.limits is not None
            assert begin.limits.idle_timeout_s == 0.4
            for frame in (encode(KeepAlive()), bytes(3200)) * 5:
                await asyncio.sleep(0.1)
                await client.send(frame)
            await client.send(encode(CloseStream()))
            assert (await read_to_close(client))[1] == 1000

    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(limits=Limits(idle_timeout_s=0.4))))


def test_a_client_faster_than_announced_is_dismissed(served: Served) -> None:
    """4429, with what is allowed in the greeting."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            begin = await read(client)
            assert isinstance(begin, Begin)
            assert begin.limits is not None
            assert (begin.limits.max_realtime_factor, begin.limits.max_burst_s) == (1.5, 3)
            for _ in range(40):
                await client.send(bytes(3200))
            messages, code = await read_to_close(client)
        error = messages[-1]
        assert isinstance(error, Error)
        assert (error.code, error.seq, code) == ("too_fast", len(messages), 4429)

    limits = Limits(max_realtime_factor=1.5, max_burst_s=3)
    serve_url(served, scenario, ServerConfig(connection=ConnectionConfig(limits=limits)))


def test_an_address_with_too_many_connections_is_turned_away(served: Served) -> None:
    """429 over plain HTTP, which every client understands; a place that is free again is given away."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await read(client)
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"{url}?glossary=tones"):
                    pass
            assert refused.value.response.status_code == 429
        for _ in range(100):
            try:
                async with connect(f"{url}?glossary=tones") as client:
                    assert isinstance(await read(client), Begin)
                    return
            except InvalidStatus:
                await asyncio.sleep(0.02)
        pytest.fail("the place was not given back")

    serve_url(served, scenario, ServerConfig(connections_per_address=1))
