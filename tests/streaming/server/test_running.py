"""From the first port to the last goodbye."""

import asyncio
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from streaming.errors import SettingError
from streaming.events import Event
from streaming.protocol import (
    Error,
    ServerMessage,
)
from streaming.server import HintServer, ServerConfig, run_server
from streaming.sessions.recorded_session import RecordedSession
from streaming.sessions.recording import SessionRecorder
from tests.streaming.server.serving import (
    QUERY,
    SPEECH,
    Served,
    Wrapped,
    http,
    read,
    read_to_close,
    serve,
    serve_url,
    with_pipeline,
)


def test_a_client_that_comes_while_the_server_stops_is_sent_away(served: Served) -> None:
    """Whoever connects during the goodbyes never gets a session that outlives the server."""
    begun, release = threading.Event(), threading.Event()

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            begun.set()
            assert release.wait(10)
            return super().feed(chunk)

    async def scenario() -> None:
        server = HintServer(ServerConfig(port=0), with_pipeline(served, Slow), None)
        async with server:
            address = f"{server.url}?glossary=tones"
            busy = await connect(address)
            await busy.send(b"xx")
            await asyncio.to_thread(begun.wait, 10)
            leaving = asyncio.create_task(server.__aexit__(None, None, None))
            await asyncio.sleep(0)
            with pytest.raises(OSError, match="Connect call failed"):
                await connect(address)
            release.set()
            messages, code = await read_to_close(busy)
            await leaving
        assert isinstance(messages[-1], Error)
        assert code == 1001

    asyncio.run(scenario())


def test_the_address_is_known_only_while_the_server_listens(served: Served) -> None:
    """Asking a server for its address before it listens is a mistake of the programmer."""
    with pytest.raises(RuntimeError):
        assert HintServer(ServerConfig(), served, None).url


def test_a_taken_port_is_named(served: Served) -> None:
    """A port that somebody listens on is one sentence, not a traceback."""

    async def scenario(url: str) -> None:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(SettingError, match=f"port {port}.*--port"):
            async with HintServer(ServerConfig(port=port), served, None):
                pass

    serve_url(served, scenario)


@pytest.mark.parametrize("setting", [{"port": 70_000}, {"max_sessions": 0}, {"threads": 0}])
def test_a_setting_out_of_range_is_named(setting: dict[str, int]) -> None:
    """The message carries the setting and its value."""
    name, value = next(iter(setting.items()))
    with pytest.raises(SettingError, match=f"{name} = {value}"):
        replace(ServerConfig(), **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_every_session_with_a_word(served: Served, number: signal.Signals) -> None:
    """SIGTERM and SIGINT: each client gets an error and 1001, and the server returns."""
    seen: list[tuple[list[ServerMessage], int]] = []

    def client(url: str) -> None:
        async def talk() -> None:
            async with connect(f"{url}?glossary=tones") as client:
                await read(client)
                os.kill(os.getpid(), number)
                seen.append(await read_to_close(client))

        asyncio.run(talk())

    threads: list[threading.Thread] = []

    def on_ready(url: str) -> None:
        threads.append(threading.Thread(target=client, args=(url,)))
        threads[0].start()

    run_server(ServerConfig(port=0), served, None, on_ready)
    threads[0].join(10)
    ((messages, code),) = seen
    assert isinstance(messages[-1], Error)
    assert (messages[-1].code, code) == ("restart", 1001)


def test_a_stop_ends_the_recordings_of_waiting_sessions(served: Served, tmp_path: Path) -> None:
    """Of a client that never came back, all that came is on record, to its end."""

    def record(session_id: str, query: str, version: str) -> SessionRecorder:
        return SessionRecorder.open(tmp_path, session_id, query, "model", version)

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as client:
            await read(client)
            await client.send(SPEECH)
            client.transport.abort()
        while b"parked 1.0" not in (await http("GET", f"{server.http_url}/metrics"))[2]:
            await asyncio.sleep(0.01)

    serve(served, scenario, record=record)
    (folder,) = tmp_path.iterdir()
    recording = RecordedSession.read(folder)
    assert recording.is_whole
    assert (folder / "audio.wav").read_bytes()[44:] == SPEECH


def test_a_stop_waits_no_longer_than_it_was_told(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A client that takes no goodbye holds nobody up."""

    async def scenario() -> None:
        server = HintServer(ServerConfig(port=0, drain_s=0.2), served, None)
        async with server:
            host, port = server.http_url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET /v1/hints?glossary=tones HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b'"Begin"')
            async with asyncio.timeout(3):
                await server.__aexit__(None, None, None)
        writer.close()

    asyncio.run(scenario())
    assert "did not take their goodbye" in caplog.text
