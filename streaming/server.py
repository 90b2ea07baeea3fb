"""`termcue serve`: lets clients in and gives each its connection; `/health` over plain HTTP beside it."""

import asyncio
import ipaddress
import json
import logging
import os
import secrets
import signal
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin

from streaming.api_keys import ApiKeys, presented_key
from streaming.connection import RESTART_MESSAGE, AnnouncingProtocol, Connection, ConnectionConfig, deliver
from streaming.errors import SettingError
from streaming.protocol import HINTS_PATH, CloseCode
from streaming.session import Output, ServedGlossary, refusal

HEALTH_PATH = "/health"
# Load balancers cut a connection that is silent for 60 s.
_PING_INTERVAL_S = 20
_CLOSE_TIMEOUT_S = 5
_MAX_PORT = 65_535
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where the server listens and how much it takes on; raises SettingError for a value out of its range.

    Port 0 takes any free port. `allowed_origins` are the pages (scheme://host:port) whose scripts may connect; a
    client that is no browser names no origin and is not asked for one. `threads` share the inference of all sessions.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    max_sessions: int = 8
    retry_after_s: float = 5
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_origins: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MAX_PORT:
            raise SettingError(f"port = {self.port} is no port: give 1..{_MAX_PORT}, or 0 for any free one")
        if self.max_sessions < 1:
            raise SettingError(f"max_sessions = {self.max_sessions} would serve nobody: give at least 1")
        if self.threads < 1:
            raise SettingError(f"threads = {self.threads} would work on nothing: give at least 1")


class HintServer:
    """A running server, as an asynchronous context manager; leaving it closes every session with 1001.

    Args:
        config: where and how much.
        served: the glossaries that clients may ask for, by id.
        keys: who is let in; None lets in everybody who can reach a loopback address.

    Raises:
        SettingError: on construction, when without keys other machines could connect; on entering, when the
            address cannot be listened on.
    """

    def __init__(self, config: ServerConfig, served: Mapping[str, ServedGlossary], keys: ApiKeys | None) -> None:
        if keys is None and not _is_loopback(config.host):
            raise SettingError(
                f"without API keys the server listens on this machine only, not on {config.host!r}: "
                "give it keys (--api-keys-file) or the host 127.0.0.1"
            )
        self._config = config
        self._served = served
        self._keys = keys
        self._connections: set[Connection] = set()
        self._executor = ThreadPoolExecutor(config.threads, thread_name_prefix="session")
        self._server: Server | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Start to listen."""
        try:
            self._server = await self._listen()
        except OSError as error:
            where = f"{self._config.host} port {self._config.port}"
            raise SettingError(
                f"cannot listen on {where}: {error.strerror or error}; choose another --port or --host"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no new client, dismiss the present ones and wait for their goodbyes."""
        self._stopping = True
        if self._server is not None:
            for connection in self._connections:
                connection.stop()
            self._server.close(close_connections=False)
            await self._server.wait_closed()
        self._executor.shutdown(wait=False, cancel_futures=True)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        if self._server is None:
            raise RuntimeError("the server does not listen yet")
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        return f"{'ws' if self._config.tls is None else 'wss'}://{host}:{port}{HINTS_PATH}"

    async def _listen(self) -> Server:
        config = self._config
        origins = (None, *(Origin(origin) for origin in config.allowed_origins))

        def create_connection(_: ServerProtocol, server: Server, **options: Any) -> ServerConnection:  # noqa: ANN401
            return ServerConnection(AnnouncingProtocol(config.connection.limits, origins), server, **options)

        return await serve(
            self._serve_client,
            config.host,
            config.port,
            ssl=config.tls,
            process_request=self._answer_plain_http,
            # The library takes any factory here, as its documentation says.
            create_connection=create_connection,  # type: ignore[arg-type]
            # Speech hardly compresses, and an inflated frame would escape the size check at its header.
            compression=None,
            ping_interval=_PING_INTERVAL_S,
            # A full inbox delays pongs behind audio; a client that is gone shows by the idle timer.
            ping_timeout=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_queue=4,
        )

    def _answer_plain_http(self, websocket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == HINTS_PATH:
            return None
        if path != HEALTH_PATH:
            return websocket.respond(404, f"there is nothing at {path}: connect a websocket to {HINTS_PATH}\n")
        health = {"status": "ok", "sessions": len(self._connections), "max_sessions": self._config.max_sessions}
        response = websocket.respond(200, json.dumps(health) + "\n")
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    async def _serve_client(self, websocket: ServerConnection) -> None:
        request = websocket.request
        if request is None:
            raise RuntimeError("a connection was handed over before its handshake")
        refused = self._refused(request)
        if refused:
            try:
                await deliver(websocket, refused, self._config.connection.send_timeout_s)
            except ConnectionClosed:
                logger.info("a client left before it was refused")
            return
        connection = Connection(websocket, f"s_{secrets.token_hex(4)}", self._config.connection, self._executor)
        self._connections.add(connection)
        try:
            await connection.run(request.path.partition("?")[2], self._served)
        finally:
            self._connections.discard(connection)

    def _refused(self, request: Request) -> tuple[Output, ...]:
        """Why a client is not let in: the server stops, its key, the load. Empty for a welcome one."""
        if self._stopping:
            return refusal("restart", CloseCode.RESTART, RESTART_MESSAGE)
        if self._keys is not None:
            offers = [
                offer for line in request.headers.get_all("Sec-WebSocket-Protocol") for offer in parse_subprotocol(line)
            ]
            key = presented_key(request.headers.get_all("Authorization"), offers)
            if key is None:
                cure = "send the header `Authorization: Bearer KEY`, or the subprotocols `token, KEY`"
                return refusal("no_key", CloseCode.AUTH, f"an API key is needed: {cure}")
            if not self._keys.accepts(key):
                return refusal("wrong_key", CloseCode.AUTH, "this API key is not known here: ask the server's owner")
        if len(self._connections) >= self._config.max_sessions:
            retry_s = self._config.retry_after_s
            message = f"all {self._config.max_sessions} sessions are taken: try again in {retry_s:g} s"
            return refusal("overloaded", CloseCode.OVERLOADED, message, retry_after_s=retry_s)
        return ()


def run_server(
    config: ServerConfig,
    served: Mapping[str, ServedGlossary],
    keys: ApiKeys | None,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; blocks. `on_ready` is told the address as soon as clients may connect.

    Raises:
        SettingError: as `HintServer`.
    """

    async def serve_until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with HintServer(config, served, keys) as server:
            on_ready(server.url)
            await stop.wait()

    asyncio.run(serve_until_signal())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
