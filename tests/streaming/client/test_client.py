import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from streaming.audio import AudioFormat
from streaming.client import StreamOptions, hints_address, stream_hints
from streaming.client.source_pump import cut_frames
from streaming.errors import AudioError, SettingError, WireError
from streaming.protocol import (
    AudioPart,
    Begin,
    Error,
    GlossaryPart,
    Limits,
    MarkerReached,
    Metadata,
    ServerMessage,
    TermHint,
    Warning,
    encode,
)
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm

Served = Mapping[str, ServedGlossary]
TONES = StreamOptions(glossary="tones")
PCM = synthetic_pcm([(0, 400), (900, 600), (0, 800), (1700, 600), (0, 800)])

BEGIN = encode(
    Begin(
        seq=0,
        protocol=1,
        session_id="s",
        glossary=GlossaryPart(id="tones", version="v1", terms=4),
        profile="booth",
        threshold=0.5,
        audio=AudioPart(encoding="linear16", sample_rate=16_000, channels=1),
    )
)


async def _collect(url: str, chunks: Iterable[bytes], options: StreamOptions = TONES) -> list[ServerMessage]:
    async with asyncio.timeout(20):
        return [message async for message in stream_hints(url, chunks, options)]


def _stream(
    served: Served, chunks: Iterable[bytes], options: StreamOptions = TONES, config: ServerConfig | None = None
) -> list[ServerMessage]:
    """What a client hears from a server on a free port of the loopback."""

    async def run() -> list[ServerMessage]:
        async with HintServer(replace(config or ServerConfig(), port=0), served, None) as server:
            return await _collect(server.url, chunks, options)

    return asyncio.run(run())


def _stream_to(
    answer: Callable[[ServerConnection], Awaitable[None]],
    options: StreamOptions = TONES,
    chunks: Sequence[bytes] = (PCM,),
) -> list[ServerMessage]:
    """What a client hears from a server that behaves as `answer` does."""

    async def run() -> list[ServerMessage]:
        async with serve(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await _collect(f"ws://127.0.0.1:{port}", chunks, options)

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 640, 3201, len(PCM)])
def test_hints_come_whatever_the_chunks(served: Served, size: int) -> None:
    """The messages of a stream are the same for any chunks: greeting first, sum last, none of our own markers."""
    pcm = PCM if size > 1 else PCM[:2000]
    heard = _stream(served, [pcm[start : start + size] for start in range(0, len(pcm), size)])
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
    heard = _stream(served, [synthetic_pcm([(0, 400), (500, 600), (0, 800)], stereo)], options)
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
        _stream_to(answer, replace(TONES, ahead_s=2), [bytes(3200)] * 200)
    assert all(1.9 <= seconds <= 2.1 for seconds in under_way)


def test_a_source_that_pauses_keeps_its_session(served: Served) -> None:
    """While a source gives nothing, the client tells the server that it lives."""

    def chunks() -> Iterator[bytes]:
        yield bytes(640)
        time.sleep(1.8)
        yield bytes(640)

    config = ServerConfig(connection=ConnectionConfig(limits=Limits(idle_timeout_s=0.9)))
    heard = _stream(served, chunks(), replace(TONES, keep_alive_s=0.05), config)
    assert isinstance(heard[-1], Metadata)
    assert heard[-1].duration == 0.04


def test_a_source_that_breaks_is_what_the_caller_hears_of(served: Served) -> None:
    """The source's own error is raised, not that of the connection."""

    def chunks() -> Iterator[bytes]:
        yield bytes(3200)
        raise AudioError("the microphone was pulled out")

    with pytest.raises(AudioError, match="pulled out"):
        _stream(served, chunks())


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
        asyncio.run(_collect(url, [PCM]))


def test_an_unknown_host_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that does not resolve is told as such."""

    async def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", unknown)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WireError, match=r"nowhere\.invalid.*host name is unknown"):
        asyncio.run(_collect("ws://nowhere.invalid:8765", [PCM]))


def test_a_server_of_another_kind_is_one_sentence() -> None:
    """Something that does not speak HTTP is not blamed on the client's audio."""

    async def run() -> None:
        async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            await _collect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", [PCM])

    with pytest.raises(WireError, match="no websocket server"):
        asyncio.run(run())


def test_a_wrong_path_is_told_in_the_servers_words(served: Served) -> None:
    """An HTTP refusal is given with its status and text."""

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            await _collect(server.url.replace("/v1/hints", "/v9"), [PCM])

    with pytest.raises(WireError, match=r"HTTP 404: there is nothing at /v9"):
        asyncio.run(run())


def test_a_server_that_does_not_answer_is_given_up() -> None:
    """A handshake without an answer ends after the open timeout."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
            await _collect(url, [PCM], replace(TONES, open_timeout_s=0.1))

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
        _stream_to(answer)


def test_messages_of_a_newer_server_are_passed_over() -> None:
    """A type that is not known yet does not disturb the stream."""

    async def answer(websocket: ServerConnection) -> None:
        await websocket.send('{"type":"Novelty","seq":1,"lag_s":0.2}')
        await websocket.send('{"type":"Warning","seq":2,"code":"c","message":"m"}')
        await websocket.send(
            '{"type":"Metadata","seq":3,"session_id":"s","duration":1,"hints":0,"abstained_windows":0,"from_close":true}'
        )
        await websocket.wait_closed()

    assert [type(message) for message in _stream_to(answer)] == [Warning, Metadata]


def test_the_key_goes_into_the_header() -> None:
    """The key is sent as a bearer token and stands in no address."""
    seen: list[str | None] = []

    async def answer(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.extend([websocket.request.headers.get("Authorization"), websocket.request.path])
        await websocket.close()

    with pytest.raises(WireError):
        _stream_to(answer, replace(TONES, api_key="sesame"))
    assert seen[0] == "Bearer sesame"
    assert "sesame" not in str(seen[1])


@pytest.mark.parametrize("key", ["schl\u00fcssel", "two\nlines", "", " blank"])
def test_a_key_that_no_header_carries_is_never_repeated(key: str) -> None:
    """The refusal says what is wrong and where to correct it, and not the key."""
    with pytest.raises(SettingError, match="TERMCUE_API_KEY") as refused:
        asyncio.run(_collect("ws://127.0.0.1:1", [PCM], replace(TONES, api_key=key)))
    assert not key or key not in str(refused.value)


def test_tls_to_a_plain_server_names_the_scheme(served: Served) -> None:
    """A server without TLS is reached with ws://, which the refusal says."""

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), served, None) as server:
            await _collect(server.url.replace("ws://", "wss://"), [PCM])

    with pytest.raises(WireError, match="does not speak TLS: give ws://"):
        asyncio.run(run())


def test_the_address_asks_for_what_the_options_say() -> None:
    """The path of the protocol is added where there is none; a query of the caller's own is kept."""
    address = urlsplit(hints_address("wss://host:1/?version=v1", replace(TONES, target_lang="zh")))
    assert (address.scheme, address.netloc, address.path) == ("wss", "host:1", "/v1/hints")
    asked = parse_qs(address.query)
    assert (asked["glossary"], asked["target_lang"], asked["version"]) == (["tones"], ["zh"], ["v1"])
    assert "profile" not in asked
    assert urlsplit(hints_address("ws://host/behind/proxy", TONES)).path == "/behind/proxy"


@pytest.mark.parametrize(
    "url", ["host:8765", "http://host/v1/hints", "ws://", "", "ws://[::1", "ws://host:http", "ws://host:99999"]
)
def test_an_address_that_is_no_websocket_is_named(url: str) -> None:
    """The message repeats the address and shows the right form."""
    with pytest.raises(WireError, match=r"ws://HOST:PORT/v1/hints"):
        hints_address(url, TONES)


@given(
    st.lists(st.binary(max_size=20_000), max_size=8),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.sampled_from([1, 2]),
)
def test_frames_have_the_length_the_protocol_wants(chunks: list[bytes], rate: int, channels: int) -> None:
    """Frames carry every byte in order, 20 to 100 ms each and whole samples, but for the last."""
    audio_format = AudioFormat(sample_rate=rate, channels=channels)
    frames = list(cut_frames(chunks, audio_format))
    assert b"".join(frames) == b"".join(chunks)
    for frame in frames[:-1]:
        samples, rest = divmod(len(frame), audio_format.bytes_per_frame)
        assert rest == 0
        assert 0.02 - 1 / rate <= samples / rate <= 0.1
