import asyncio
import hashlib
import json
import logging
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from streaming.server.api_keys import ApiKeys
from streaming.errors import SettingError
from streaming.events import Event
from streaming.protocol import (
    Begin,
    CloseStream,
    Configure,
    Configured,
    Error,
    Finalize,
    Limits,
    MarkerReached,
    Metadata,
    ServerMessage,
    TermHint,
    Warning,
    decode_server,
    encode,
)
from streaming.server import ConnectionConfig, HintServer, ServerConfig, run_server
from streaming.session import HintPipeline, ServedGlossary, SessionSettings
from streaming.testing import synthetic_pcm

Served = Mapping[str, ServedGlossary]
KEYS = ApiKeys([hashlib.sha256(b"sesame").hexdigest()])
TONE = synthetic_pcm([(0, 400), (900, 600), (0, 1000)])


def _serve(
    served: Served,
    scenario: Callable[[str], Awaitable[None]],
    config: ServerConfig | None = None,
    keys: ApiKeys | None = None,
) -> None:
    """Run `scenario` with the address of a server on a free port of the loopback."""

    async def run() -> None:
        async with HintServer(replace(config or ServerConfig(), port=0), served, keys) as server:
            await asyncio.wait_for(scenario(server.url), 20)

    asyncio.run(run())


def _with_pipeline(served: Served, wrap: Callable[[HintPipeline], HintPipeline]) -> Served:
    """The same glossary, with pipelines that `wrap` changes."""
    tones = served["tones"]
    return {"tones": replace(tones, open=lambda settings: wrap(tones.open(settings)))}


async def _read(client: ClientConnection) -> ServerMessage:
    message = decode_server(await client.recv(decode=True))
    assert message is not None
    return message


async def _read_to_close(client: ClientConnection) -> tuple[list[ServerMessage], int]:
    """All messages until the connection closes, and the close code."""
    read: list[ServerMessage] = []
    while True:
        try:
            read.append(await _read(client))
        except ConnectionClosed as closed:
            return read, closed.rcvd.code if closed.rcvd else 1006


async def _refused(url: str, **options: list[Subprotocol] | dict[str, str]) -> tuple[Error, int]:
    async with connect(url, **options) as client:  # type: ignore[arg-type]
        read, code = await _read_to_close(client)
    (error,) = read
    assert isinstance(error, Error)
    assert error.fatal
    assert error.close_code == code
    return error, code


class Wrapped:
    """A pipeline that passes everything on; tests change one verb of it."""

    def __init__(self, inner: HintPipeline) -> None:
        self.inner = inner
        self.configure = inner.configure
        self.pace = inner.pace
        self.replace_index = inner.replace_index

    @property
    def received_samples(self) -> int:
        return self.inner.received_samples

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        return self.inner.stage_seconds

    @property
    def dropped_windows(self) -> int:
        return self.inner.dropped_windows

    @property
    def tells_interim(self) -> bool:
        return self.inner.tells_interim

    def feed(self, chunk: bytes) -> list[Event]:
        return self.inner.feed(chunk)

    def flush(self) -> list[Event]:
        return self.inner.flush()

    def finish(self) -> list[Event]:
        return self.inner.finish()


def test_a_stream_goes_from_greeting_to_sum(served: Served) -> None:
    """Over a real socket: Begin, the hint of the tone, Finalize and its marker, Configure, CloseStream, close 1000."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones&target_lang=de") as client:
            begin = await _read(client)
            for start in range(0, len(TONE), 3200):
                await client.send(TONE[start : start + 3200])
            for message in (Finalize(), Configure(request_id="c", threshold=0.9), CloseStream()):
                await client.send(encode(message))
            read, code = await _read_to_close(client)
        assert isinstance(begin, Begin)
        hints = [message for message in read if isinstance(message, TermHint)]
        assert [(hint.term, hint.translation) for hint in hints] == [("900 hertz tone", "Ton von 900 Hertz")]
        assert [m.id for m in read if isinstance(m, MarkerReached)] == ["finalize"]
        assert [m.effective.threshold for m in read if isinstance(m, Configured)] == [0.9]
        assert isinstance(read[-1], Metadata)
        assert (read[-1].hints, read[-1].duration, code) == (1, len(TONE) / 32_000, 1000)
        assert [message.seq for message in (begin, *read)] == list(range(len(read) + 1))

    _serve(served, scenario)


def test_sessions_do_not_mix(served: Served) -> None:
    """Clients that stream different tones at the same time each get their own terms only."""

    async def hear(url: str, frequency: int) -> set[str]:
        pcm = synthetic_pcm([(0, 400), (frequency, 600), (0, 800)])
        async with connect(f"{url}?glossary=tones") as client:
            for start in range(0, len(pcm), 3200):
                await client.send(pcm[start : start + 3200])
                await asyncio.sleep(0)
            await client.send(encode(CloseStream()))
            read, _ = await _read_to_close(client)
        return {message.term for message in read if isinstance(message, TermHint)}

    async def scenario(url: str) -> None:
        heard = await asyncio.gather(*(hear(url, frequency) for frequency in (500, 900, 1300, 1700)))
        assert heard == [{"500 hertz tone"}, {"900 hertz tone"}, {"1300 hertz tone"}, {"1700 hertz tone"}]

    _serve(served, scenario)


@pytest.mark.parametrize(("query", "code"), [("", 4400), ("?glossary=tones&shout=1", 4400), ("?glossary=lrec", 4404)])
def test_a_wrong_address_is_refused_with_an_error_first(served: Served, query: str, code: int) -> None:
    """The error message goes before the close and carries its code."""

    async def scenario(url: str) -> None:
        _, closed = await _refused(url + query)
        assert closed == code

    _serve(served, scenario)


@pytest.mark.parametrize(
    ("headers", "subprotocols", "code"),
    [
        ({}, [], "no_key"),
        ({"Authorization": "Bearer open"}, [], "wrong_key"),
        ({"Authorization": "Basic sesame"}, [], "no_key"),
        ({}, ["token", "open"], "wrong_key"),
    ],
)
def test_a_client_without_a_known_key_is_refused(
    served: Served, headers: dict[str, str], subprotocols: list[str], code: str
) -> None:
    """No key and a wrong key end with an error and 4401, before the address is looked at."""

    async def scenario(url: str) -> None:
        offers = [Subprotocol(offer) for offer in subprotocols]
        options = {"subprotocols": offers} if offers else {}
        error, closed = await _refused(f"{url}?nonsense", additional_headers=headers, **options)
        assert (error.code, closed) == (code, 4401)

    _serve(served, scenario, keys=KEYS)


def test_a_known_key_is_let_in_by_header_and_by_subprotocol(served: Served) -> None:
    """Bearer, Token and the browsers' subprotocol all work; the subprotocol is confirmed."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        for scheme in ("Bearer", "Token"):
            async with connect(address, additional_headers={"Authorization": f"{scheme} sesame"}) as client:
                assert isinstance(await _read(client), Begin)
        async with connect(address, subprotocols=[Subprotocol("token"), Subprotocol("sesame")]) as client:
            assert client.subprotocol == "token"
            assert isinstance(await _read(client), Begin)

    _serve(served, scenario, keys=KEYS)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_keys_other_machines_cannot_be_served(served: Served, host: str) -> None:
    """A host that is not the loopback needs keys; the refusal names it and both cures."""
    with pytest.raises(SettingError, match=r"--api-keys-file.*127\.0\.0\.1"):
        HintServer(ServerConfig(host=host), served, None)


def test_with_keys_any_host_may_be_served(served: Served) -> None:
    """Keys open the other hosts, and the loopback needs none."""
    HintServer(ServerConfig(host="0.0.0.0"), served, KEYS)
    for host in ("127.0.0.1", "::1", "localhost"):
        HintServer(ServerConfig(host=host), served, None)


def test_scripts_of_foreign_pages_cannot_connect(served: Served) -> None:
    """A browser's page is let in only when its origin is on the list."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        async with connect(address, origin=Origin("http://localhost:7860")) as client:
            assert isinstance(await _read(client), Begin)
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, origin=Origin("https://evil.example")):
                pass
        assert refused.value.response.status_code == 403

    _serve(served, scenario, ServerConfig(allowed_origins=("http://localhost:7860",)))


def test_a_full_server_says_when_to_come_back(served: Served) -> None:
    """Above max_sessions a client gets retry_after_s and 1013; a place that is free again is given away."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        async with connect(address) as client:
            await _read(client)
            error, code = await _refused(address)
            assert (error.retry_after_s, code) == (7, 1013)
        for _ in range(100):
            async with connect(address) as client:
                if isinstance(await _read(client), Begin):
                    return
            await asyncio.sleep(0.02)
        pytest.fail("the place was not given back")

    _serve(served, scenario, ServerConfig(max_sessions=1, retry_after_s=7))


@pytest.mark.parametrize("size", [2_001, 300_000])
def test_a_frame_that_is_too_big_is_refused_with_an_error_first(served: Served, size: int) -> None:
    """1009 comes after an error that is numbered like every message, however much too big the frame is."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await _read(client)
            await client.send(bytes(2_000))
            await client.send(bytes(size))
            read, code = await _read_to_close(client)
        (error,) = read
        assert isinstance(error, Error)
        assert (error.seq, error.code, error.close_code, code) == (1, "frame_too_big", 1009, 1009)

    _serve(served, scenario, ServerConfig(connection=ConnectionConfig(limits=Limits(max_frame_bytes=2_000))))


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\x83\x80\0\0\0\0", 1002), (b"\x81\x82\0\0\0\0\xff\xfe", 1007)],
    ids=["unknown kind of frame", "text that is not UTF-8"],
)
def test_a_broken_frame_is_refused_with_an_error_first(served: Served, frame: bytes, code: int) -> None:
    """Even what the websocket library refuses itself is told in a message before the close."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await _read(client)
            client.transport.write(frame)
            read, closed = await _read_to_close(client)
        (error,) = read
        assert isinstance(error, Error)
        assert (error.seq, error.code, error.close_code, closed) == (1, "broken_frame", code, code)

    _serve(served, scenario)


def test_a_silent_client_is_dismissed(served: Served) -> None:
    """4408 comes after the announced idle time."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            read, code = await _read_to_close(client)
        assert isinstance(read[-1], Error)
        assert (read[-1].code, code) == ("idle", 4408)

    _serve(served, scenario, ServerConfig(connection=ConnectionConfig(limits=Limits(idle_timeout_s=0.2))))


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

    served = {**_with_pipeline(served, Broken), "broken": replace(served["tones"], open=refuse)}

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary={'broken' if broken == 'open' else 'tones'}") as client:
            await client.send(b"xx")
            read, code = await _read_to_close(client)
        assert isinstance(read[-1], Error)
        assert (read[-1].code, read[-1].seq, code) == ("internal", len(read) - 1, 1011)
        assert "innards" not in read[-1].message
        async with connect(f"{url}?glossary=tones") as client:
            assert isinstance(await _read(client), Begin)

    with caplog.at_level(logging.ERROR, "streaming"):
        _serve(served, scenario)
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
            read, code = await _read_to_close(quick)
            release.set()
        assert isinstance(read[-1], Metadata)
        assert code == 1000

    _serve(_with_pipeline(served, Slow), scenario, ServerConfig(threads=2))


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
            read, code = await _read_to_close(client)
        warnings = [message for message in read if isinstance(message, Warning)]
        assert [warning.code for warning in warnings] == ["backpressure"]
        assert isinstance(read[-1], Metadata)
        assert (read[-1].duration, code) == (10.0, 1000)

    config = ServerConfig(connection=ConnectionConfig(queue_bytes=10_000))
    _serve(_with_pipeline(served, Slow), scenario, config)


def test_a_client_that_takes_no_message_is_cut_off(served: Served) -> None:
    """A client that never reads cannot hold its place: its connection is cut after the send timeout."""
    closed = threading.Event()

    async def scenario(url: str) -> None:
        host, port = url.removeprefix("ws://").split("/")[0].split(":")
        # A hand-made client: the library's would read in the background.
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

    _serve(served, scenario, ServerConfig(connection=ConnectionConfig(send_timeout_s=0.2)))
    assert closed.is_set()


def _masked(payload: bytes) -> bytes:
    """A client's text frame of 126..65535 bytes, masked with zeros."""
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


def test_a_client_that_vanishes_gives_its_place_back(served: Served) -> None:
    """A connection that breaks off ends its session without a trace of an error."""

    async def scenario(url: str) -> None:
        async with connect(f"{url}?glossary=tones") as client:
            await _read(client)
            client.transport.abort()
        health_url = url.replace("ws://", "http://").replace("/v1/hints", "/health")
        for _ in range(100):
            health = await asyncio.to_thread(_get, health_url)
            if json.loads(health[1])["sessions"] == 0:
                return
            await asyncio.sleep(0.02)
        pytest.fail("the session lives on")

    _serve(served, scenario)


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_client_that_comes_while_the_server_stops_is_sent_away(served: Served) -> None:
    """Whoever connects during the goodbyes never gets a session that outlives the server."""
    begun, release = threading.Event(), threading.Event()

    class Slow(Wrapped):
        def feed(self, chunk: bytes) -> list[Event]:
            begun.set()
            assert release.wait(10)
            return super().feed(chunk)

    async def scenario() -> None:
        server = HintServer(ServerConfig(port=0), _with_pipeline(served, Slow), None)
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
            read, code = await _read_to_close(busy)
            await leaving
        assert isinstance(read[-1], Error)
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

    _serve(served, scenario)


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
                await _read(client)
                os.kill(os.getpid(), number)
                seen.append(await _read_to_close(client))

        asyncio.run(talk())

    threads: list[threading.Thread] = []

    def on_ready(url: str) -> None:
        threads.append(threading.Thread(target=client, args=(url,)))
        threads[0].start()

    run_server(ServerConfig(port=0), served, None, on_ready)
    threads[0].join(10)
    ((read, code),) = seen
    assert isinstance(read[-1], Error)
    assert (read[-1].code, code) == ("restart", 1001)
