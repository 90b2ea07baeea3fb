import asyncio
import socket
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection

from streaming.client import StreamOptions, stream_hints
from streaming.errors import SettingError, WireError
from streaming.protocol import Error, ServerMessage
from streaming.server import HintServer, ServerConfig
from tests.streaming.client.client_runs import PCM, TONES, Served, collect, stream_to


def test_a_refusal_is_given_and_raised(served: Served) -> None:
    """The server's fatal error reaches the caller as a message and as the reason of the end."""
    read: list[ServerMessage] = []

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            async for message in stream_hints(server.url, [PCM], StreamOptions(glossary="lrec")):
                read.append(message)

    with pytest.raises(WireError, match=r"4404 unknown_glossary.*lrec.*tones"):
        asyncio.run(run())
    assert isinstance(read[-1], Error)


def test_nobody_listening_is_one_sentence() -> None:
    """A port without a server names the address and the command to start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    with pytest.raises(WireError, match=f"{url}.*termcue serve"):
        asyncio.run(collect(url, [PCM]))


@pytest.mark.parametrize(
    ("user", "said"),
    [("user:sesame@", "nothing listens there"), ("sesame@", "username provided without password: correct")],
)
def test_no_password_and_no_token_is_told(user: str, said: str) -> None:
    """What the address holds beside host and port stands in no message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(WireError, match=f"cannot stream to ws://{host}: .*{said}") as refused:
        asyncio.run(collect(f"ws://{user}{host}/?token=sesame", [PCM]))
    assert "sesame" not in str(refused.value)


def test_an_unknown_host_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that does not resolve is told as such."""

    async def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", unknown)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WireError, match=r"nowhere\.invalid.*host name is unknown"):
        asyncio.run(collect("ws://nowhere.invalid:8765", [PCM]))


def test_a_server_of_another_kind_is_one_sentence() -> None:
    """Something that does not speak HTTP is not blamed on the client's audio."""

    async def run() -> None:
        async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            await collect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", [PCM])

    with pytest.raises(WireError, match="no websocket server"):
        asyncio.run(run())


def test_a_wrong_path_is_told_in_the_servers_words(served: Served) -> None:
    """An HTTP refusal is given with its status and text."""

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            await collect(server.url.replace("/v1/hints", "/v9"), [PCM])

    with pytest.raises(WireError, match=r"HTTP 404: there is nothing at /v9"):
        asyncio.run(run())


def test_a_server_that_does_not_answer_is_given_up() -> None:
    """A handshake without an answer ends after the open timeout."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
            await collect(url, [PCM], replace(TONES, open_timeout_s=0.1))

    with pytest.raises(WireError, match="no answer in time"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([], "closed with code 1000"),
        (["hello"], "breaks protocol 1"),
        (
            [
                '{"type":"Begin","seq":0,"protocol":2,"session_id":"s","glossary":{"id":"g","version":"v","terms":1},'
                '"profile":"booth","threshold":1,"audio":{"encoding":"linear16","sample_rate":16000,"channels":1}}'
            ],
            "speaks protocol 2",
        ),
    ],
)
def test_a_server_that_breaks_the_protocol_is_told_as_such(said: list[str], told: str) -> None:
    """An early close, nonsense and a newer protocol are errors, not the end of the stream."""

    async def answer(websocket: ServerConnection) -> None:
        for text in said:
            await websocket.send(text)
        await websocket.close()

    with pytest.raises(WireError, match=told):
        stream_to(answer)


@pytest.mark.parametrize("key", ["schl\u00fcssel", "two\nlines", "", " blank"])
def test_a_key_that_no_header_carries_is_never_repeated(key: str) -> None:
    """The refusal says what is wrong and where to correct it, and not the key."""
    with pytest.raises(SettingError, match="TERMCUE_API_KEY") as refused:
        asyncio.run(collect("ws://127.0.0.1:1", [PCM], replace(TONES, api_key=key)))
    assert not key or key not in str(refused.value)


def test_tls_to_a_plain_server_names_the_scheme(served: Served) -> None:
    """A server without TLS is reached with ws://, which the refusal says."""

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            await collect(server.url.replace("ws://", "wss://"), [PCM])

    with pytest.raises(WireError, match="does not speak TLS: give ws://"):
        asyncio.run(run())
