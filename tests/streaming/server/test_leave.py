"""How a server that stops treats those who are busy with it."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from streaming.events import Event
from streaming.server import HintServer, ServerConfig, run_server
from streaming.server.leave import STALL_S, Leave
from tests.streaming.server.serving import QUERY, Served, Wrapped, http, with_pipeline

ROOT = Path(__file__).parents[3]
RAW = f"{QUERY}&encoding=linear16&sample_rate=16000&abstain_events=true"


async def _posted(server: HintServer, length: int, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request for a recording of `length` bytes, of which `body` is sent."""
    host, port = server.http_url.removeprefix("http://").split(":")
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        made.connect((host, int(port)))
        reader, writer = await asyncio.open_connection(sock=made.dup(), limit=1024)
    writer.write(f"POST /v1/hints:file?{RAW} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
    writer.write(body)
    return reader, writer


async def _seconds_of(leaving: Awaitable[object]) -> float:
    started_s = time.monotonic()
    await leaving
    return time.monotonic() - started_s


def _no_traceback(caplog: pytest.LogCaptureFixture) -> bool:
    return not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_an_upload_that_stalls_is_not_waited_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """It is told to come again, a moment after the server begins to leave."""

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=8), served, None) as server:
            reader, writer = await _posted(server, 100_000, bytes(50_000))
            while server._admission.files == 0:
                await asyncio.sleep(0.01)
            assert await _seconds_of(server.__aexit__(None, None, None)) < STALL_S + 2
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in head.lower()
            assert json.loads(body)["code"] == "restart"
            assert server._admission.files == 0
            writer.close()

    asyncio.run(scenario())
    assert _no_traceback(caplog)


def test_an_upload_that_trickles_ends_with_the_drain(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """However little comes; its sender may be too busy to hear why."""

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=1), served, None) as server:
            _, writer = await _posted(server, 100_000, b"")

            async def trickle() -> None:
                while True:
                    writer.write(bytes(2))
                    await asyncio.sleep(0.02)

            trickling = asyncio.create_task(trickle())
            while server._admission.files == 0:
                await asyncio.sleep(0.01)
            assert await _seconds_of(server.__aexit__(None, None, None)) < 2
            trickling.cancel()
            assert server._admission.files == 0
            writer.transport.abort()

    asyncio.run(scenario())
    assert _no_traceback(caplog)


def test_a_recording_at_work_ends_with_a_word(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Its last line says why there are no more, and when to come again."""

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            time.sleep(0.05)
            return super().feed(chunk)

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=1), with_pipeline(served, Slow), None) as server:
            reader, writer = await _posted(server, 4_000_000, bytes(4_000_000))
            await reader.readuntil(b'"Begin"')
            assert await _seconds_of(server.__aexit__(None, None, None)) < 2
            lines = [line for line in (await reader.read()).splitlines() if line.startswith(b"{")]
            last = json.loads(lines[-1])
            assert (last["type"], last["code"], last["close_code"], last["retry_after_s"]) == (
                "Error",
                "restart",
                1001,
                5,
            )
            writer.close()

    asyncio.run(scenario())
    assert _no_traceback(caplog)


def test_an_answer_that_nobody_takes_is_not_waited_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A client that has stopped to read is cut a moment after the server begins to leave."""
    is_stuck = threading.Event()

    async def flood(scope: dict[str, object], receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(20_000_000), "more_body": True})
        is_stuck.set()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=8), served, None, mounts={"/flood": flood}) as server:
            host, port = server.http_url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(b"GET /flood/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            while not is_stuck.is_set():
                await asyncio.sleep(0.01)
            assert await _seconds_of(server.__aexit__(None, None, None)) < STALL_S + 2
            writer.transport.abort()

    asyncio.run(scenario())
    assert _no_traceback(caplog)


def test_a_stream_that_takes_nothing_is_not_waited_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a websocket whose client has stopped to read, though it could take up its session for a minute."""

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=8), served, None) as server:
            host, port = server.http_url.removeprefix("http://").split(":")
            with socket.socket() as made:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                made.connect((host, int(port)))
                reader, writer = await asyncio.open_connection(sock=made.dup(), limit=1024)
            writer.write(
                b"GET /v1/hints?glossary=tones HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            (connection,) = server._connections
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            marker = b'{"type":"Marker","id":"' + b"m" * 60_000 + b'"}'
            frame = b"\x81\xfe" + len(marker).to_bytes(2, "big") + bytes(4) + marker
            while connection.transport.get_write_buffer_size() == 0:
                writer.write(frame)
                await asyncio.sleep(0.001)
            assert await _seconds_of(server.__aexit__(None, None, None)) < STALL_S + 2
            writer.transport.abort()

    asyncio.run(scenario())
    assert _no_traceback(caplog)


def test_a_reload_is_not_waited_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A glossary that takes minutes to read is left behind, and whoever asked is told to come again."""
    begun, never = threading.Event(), threading.Event()

    def reload(_: str) -> None:
        begun.set()
        never.wait(60)

    async def scenario() -> None:
        async with HintServer(ServerConfig(port=0, drain_s=8), served, None, reload=reload) as server:
            asking = asyncio.create_task(http("POST", f"{server.http_url}/v1/glossaries/tones:reload"))
            await asyncio.to_thread(begun.wait)
            assert await _seconds_of(server.__aexit__(None, None, None)) < STALL_S + 2
            status, headers, body = await asking
            assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "restart", "5")

    started_s = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - started_s < 20
    never.set()
    assert _no_traceback(caplog)


def test_a_second_signal_ends_the_goodbyes(served: Served) -> None:
    """Who is in a hurry waits no longer for clients that do not answer."""
    clients: list[socket.socket] = []

    def client(url: str) -> None:
        host, port = url.removeprefix("ws://").split("/")[0].split(":")
        clients.append(socket.create_connection((host, int(port))))
        clients[0].sendall(
            b"GET /v1/hints?glossary=tones HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        while b'"Begin"' not in clients[0].recv(4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        while b'"restart"' not in clients[0].recv(4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threads: list[threading.Thread] = []

    def on_ready(url: str) -> None:
        threads.append(threading.Thread(target=client, args=(url,)))
        threads[0].start()

    started_s = time.monotonic()
    run_server(ServerConfig(port=0, drain_s=60), served, None, on_ready)
    assert time.monotonic() - started_s < 4
    threads[0].join(10)
    clients[0].close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signals_after_the_last_goodbye_break_nothing_off(number: signal.Signals) -> None:
    """A process that has served to its end still tidies up, and then ends well, however often it is told to end."""
    program = (
        "import time; from streaming.server import ServerConfig, run_server\n"
        "from streaming.server.hangup import Reread\n"
        "told, reread = lambda url: print(url, flush=True), Reread(lambda: None)\n"
        "run_server(ServerConfig(port=0), {}, None, told, reread=reread, ends_process=True)\n"
        "time.sleep(0.3)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.002)
    assert process.returncode == 0


def test_a_signal_during_the_warming_up_ends_the_server(served: Served) -> None:
    """It need not get ready first."""
    ready: list[str] = []

    def warm_up() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)

    run_server(ServerConfig(port=0), served, None, ready.append, warm_up=warm_up)
    assert ready == []


def test_a_leave_makes_waits_short() -> None:
    """Those that have begun as well as later ones; the end can only come nearer."""

    async def scenario() -> None:
        leave = Leave()
        assert (leave.is_begun, leave.is_over, leave.left_s) == (False, False, float("inf"))

        async def wait() -> None:
            async with leave.patience(60):
                await asyncio.sleep(60)

        async def last() -> None:
            async with leave.until_the_end():
                await asyncio.sleep(60)

        waiting = [asyncio.create_task(wait()), asyncio.create_task(last())]
        await asyncio.sleep(0)
        leave.begin(100)
        assert leave.is_begun
        assert not leave.is_over
        leave.begin(0)
        assert leave.is_over
        leave.begin(100)
        for each in (*waiting, asyncio.create_task(wait())):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(each, 2)

    asyncio.run(scenario())
