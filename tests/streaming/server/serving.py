"""What the tests of the server share: a server on the loopback, and clients that read to the end."""

import asyncio
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from streaming.events import Event
from streaming.protocol import Begin, Error, Limits, ServerMessage, TermHint, decode_server
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.server.api_keys import ApiKeys
from streaming.session import HintPipeline, ServedGlossary
from streaming.testing import synthetic_pcm

Served = Mapping[str, ServedGlossary]
KEYS = ApiKeys([hashlib.sha256(b"sesame").hexdigest()])
# Three terms with pauses, 4.1 s.
SPEECH = synthetic_pcm([(0, 400), (900, 600), (0, 700), (500, 300), (0, 700), (1300, 400), (0, 1000)])
QUERY = "glossary=tones&target_lang=de"


def serve(
    served: Served,
    scenario: Callable[[HintServer], Awaitable[None]],
    config: ServerConfig | None = None,
    keys: ApiKeys | None = None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run `scenario` with a server on a free port of the loopback."""

    async def run() -> None:
        async with HintServer(replace(config or ServerConfig(), port=0), served, keys, **options) as server:
            await asyncio.wait_for(scenario(server), 20)

    asyncio.run(run())


def limited(**limits: Any) -> ServerConfig:  # noqa: ANN401
    """A configuration with other limits."""
    return ServerConfig(connection=ConnectionConfig(limits=Limits(**limits)))


def serve_url(
    served: Served,
    scenario: Callable[[str], Awaitable[None]],
    config: ServerConfig | None = None,
    keys: ApiKeys | None = None,
) -> None:
    """Run `scenario` with the address of a server on a free port of the loopback."""
    serve(served, lambda server: scenario(server.url), config, keys)


def with_pipeline(served: Served, wrap: Callable[[HintPipeline], HintPipeline]) -> Served:
    """The same glossary, with pipelines that `wrap` changes."""
    tones = served["tones"]
    return {"tones": replace(tones, open=lambda settings: wrap(tones.open(settings)))}


async def read(client: ClientConnection) -> ServerMessage:
    """The next message."""
    message = decode_server(await client.recv(decode=True))
    assert message is not None
    return message


async def read_until(client: ClientConnection, kind: type[ServerMessage]) -> list[ServerMessage]:
    """Messages up to the first of a kind."""
    messages = [await read(client)]
    while not isinstance(messages[-1], kind):
        messages.append(await read(client))
    return messages


async def read_to_close(client: ClientConnection) -> tuple[list[ServerMessage], int]:
    """All messages until the connection closes, and the close code."""
    messages: list[ServerMessage] = []
    while True:
        try:
            messages.append(await read(client))
        except ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd else 1006


async def greeted(client: ClientConnection) -> Begin:
    """The greeting, which comes first."""
    begin = await read(client)
    assert isinstance(begin, Begin)
    return begin


def hints(messages: list[ServerMessage]) -> list[tuple[str, str, int, int]]:
    """The hints among messages, without what the wall clock puts into them."""
    return [(m.hint_id, m.term, m.start_sample, m.end_sample) for m in messages if isinstance(m, TermHint)]


async def http(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of an answer."""

    def ask() -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    return await asyncio.to_thread(ask)


def parsed(body: bytes) -> Any:  # noqa: ANN401
    """JSON."""
    return json.loads(body)


async def refused_at(url: str, **options: list[Subprotocol] | dict[str, str]) -> tuple[Error, int]:
    """The one error of a connection that is refused, and its close code."""
    async with connect(url, **options) as client:  # type: ignore[arg-type]
        messages, code = await read_to_close(client)
    (error,) = messages
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
