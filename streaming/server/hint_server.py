"""A running server: lets clients in, gives each its connection, and answers plain HTTP on the same port."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin

from streaming.batching import ComputeSlots
from streaming.closing import Output, refusal
from streaming.errors import SettingError
from streaming.protocol import HINTS_PATH, CloseCode, Error
from streaming.server.access import Access, is_loopback
from streaming.server.announcing import AnnouncingProtocol, deliver
from streaming.server.api_keys import ApiKeys
from streaming.server.config import ServerConfig
from streaming.server.connection import RESTART_MESSAGE, Connection, Shared
from streaming.server.doorway import Doorway
from streaming.server.http_app import Mounts, Site, application
from streaming.server.http_front import HttpFront
from streaming.server.http_side import Gate, HttpSide
from streaming.server.metrics import ServerMetrics
from streaming.server.resumable import ResumableSessions
from streaming.session import ServedGlossary

# Load balancers cut a connection that is silent for 60 s.
_PING_INTERVAL_S = 20
_CLOSE_TIMEOUT_S = 5
_OPEN_TIMEOUT_S = 10
# Clients that have not said yet what they want.
_MOST_UNDECIDED = 256
# Threads beside those of the sessions: recordings that come over HTTP, sessions that are just ending.
_SPARE_THREADS = 8
logger = logging.getLogger(__name__)


class HintServer:
    """A running server, as an asynchronous context manager; leaving it closes every session with 1001.

    Args:
        config: where and how much.
        served: the glossaries that clients may ask for, by id.
        keys: who is let in; None lets in everybody who can reach a loopback address.
        slots: who may compute, where it is shared with the encoder.
        metrics: where it counts.
        mounts: ASGI applications of other paths, by path.
        reload: looks for a new version of a glossary at once.
        is_ready: False until clients may come in; it can be set at any time.

    Raises:
        SettingError: on construction, when without keys other machines could connect; on entering, when the
            address cannot be listened on.
    """

    def __init__(
        self,
        config: ServerConfig,
        served: Mapping[str, ServedGlossary],
        keys: ApiKeys | None,
        *,
        slots: ComputeSlots | None = None,
        metrics: ServerMetrics | None = None,
        mounts: Mounts | None = None,
        reload: Callable[[str], None] | None = None,
        is_ready: bool = True,
    ) -> None:
        if keys is None and not is_loopback(config.host):
            raise SettingError(
                f"without API keys the server listens on this machine only, not on {config.host!r}: "
                "give it keys (--api-keys-file) or the host 127.0.0.1"
            )
        self.is_ready = is_ready
        self.metrics = metrics or ServerMetrics()
        self._config = config
        self._served = served
        self._access = Access(keys, config.allowed_origins)
        self._connections: set[Connection] = set()
        self._doorway = Doorway(config.connections_per_address, _MOST_UNDECIDED)
        self._executor = ThreadPoolExecutor(config.max_sessions + _SPARE_THREADS, thread_name_prefix="session")
        self._sessions = ResumableSessions(config.max_sessions, config.connection.limits.resume_window_s)
        self._shared = Shared(
            config=config.connection,
            served=served,
            sessions=self._sessions,
            executor=self._executor,
            slots=slots or ComputeSlots(config.threads),
            metrics=self.metrics,
            retry_after_s=config.retry_after_s,
        )
        self._files = 0
        site = application(self._site(reload), mounts or {})
        self._http = HttpSide(Gate(site, self._access, config.connection.send_timeout_s))
        self._server: Server | None = None
        self._stopping = False
        self.metrics.watch(lambda: self._busy, lambda: self._sessions.parked)

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
        """Take no new client, dismiss the present ones and wait for their goodbyes, `drain_s` at most."""
        self._stopping = True
        if self._server is not None:
            for connection in self._connections:
                connection.stop()
            self._server.close(close_connections=False)
            self._doorway.clear()
            await self._http.close(self._config.drain_s)
            try:
                async with asyncio.timeout(self._config.drain_s):
                    await self._server.wait_closed()
            except TimeoutError:
                logger.warning("some clients did not take their goodbye within %g s", self._config.drain_s)
        self._executor.shutdown(wait=False, cancel_futures=True)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"{'ws' if self._config.tls is None else 'wss'}://{self._authority}{HINTS_PATH}"

    @property
    def http_url(self) -> str:
        """Where plain HTTP is answered; no slash at the end."""
        return f"{'http' if self._config.tls is None else 'https'}://{self._authority}"

    @property
    def _authority(self) -> str:
        if self._server is None:
            raise RuntimeError("the server does not listen yet")
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        return f"{host}:{port}"

    @property
    def _busy(self) -> int:
        """Sessions with a client, and recordings that are being listened to."""
        return len(self._connections) + self._files

    def _site(self, reload: Callable[[str], None] | None) -> Site:
        return Site(
            config=self._config,
            served=self._served,
            reload=reload,
            access=self._access,
            metrics=self.metrics,
            executor=self._executor,
            slots=self._shared.slots,
            is_ready=lambda: self.is_ready and not self._stopping,
            busy=lambda: self._busy,
            take_file=self._take_file,
        )

    def _take_file(self, change: int) -> None:
        self._files += change

    async def _listen(self) -> Server:
        config = self._config
        origins = (None, *(Origin(origin) for origin in config.allowed_origins))

        def websocket(server: Server, options: dict[str, Any]) -> ServerConnection:
            return ServerConnection(AnnouncingProtocol(config.connection.limits, origins), server, **options)

        def front(_: ServerProtocol, server: Server, **options: Any) -> HttpFront:  # noqa: ANN401
            made = partial(websocket, server, options)
            return HttpFront(made, self._http.connection, _OPEN_TIMEOUT_S, self._doorway)

        return await serve(
            self._serve_client,
            config.host,
            config.port,
            ssl=config.tls,
            process_request=self._refuse_other_paths,
            # All that asyncio wants of it is a protocol, and the front becomes the library's connection.
            create_connection=front,  # type: ignore[arg-type]
            # Speech hardly compresses, and an inflated frame would escape the size check at its header.
            compression=None,
            open_timeout=_OPEN_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            # A full inbox delays pongs behind audio; a client that is gone shows by the idle timer.
            ping_timeout=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_queue=4,
        )

    def _refuse_other_paths(self, websocket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == HINTS_PATH:
            return None
        return websocket.respond(404, f"there is nothing at {path}: connect a websocket to {HINTS_PATH}\n")

    async def _serve_client(self, websocket: ServerConnection) -> None:
        request = websocket.request
        if request is None:
            raise RuntimeError("a connection was handed over before its handshake")
        query = request.path.partition("?")[2]
        refused = self._refused(request, query)
        if refused:
            self.metrics.refused(next(output.code for output in refused if isinstance(output, Error)))
            try:
                await deliver(websocket, refused, self._config.connection.send_timeout_s)
            except ConnectionClosed:
                logger.info("a client left before it was refused")
            return
        connection = Connection(websocket, f"s_{secrets.token_hex(4)}", self._shared)
        self._connections.add(connection)
        started = time.monotonic()
        try:
            await connection.run(query)
        finally:
            self._connections.discard(connection)
            logger.info(
                "%s: connection over",
                connection.session_id,
                extra={"session": connection.session_id, "seconds": round(time.monotonic() - started, 1)},
            )

    def _refused(self, request: Request, query: str) -> tuple[Output, ...]:
        """Why a client is not let in: the server stops or has not begun, its key, the load. Empty for a welcome one."""
        retry_s = self._config.retry_after_s
        if self._stopping:
            return refusal("restart", CloseCode.RESTART, RESTART_MESSAGE, retry_after_s=retry_s)
        offers = [
            offer for line in request.headers.get_all("Sec-WebSocket-Protocol") for offer in parse_subprotocol(line)
        ]
        if refused := self._access.refused(request.headers.get_all("Authorization"), offers, query):
            return refused
        if not self.is_ready:
            message = f"the server is still getting ready: try again in {retry_s:g} s"
            return refusal("not_ready", CloseCode.NOT_READY, message, retry_after_s=retry_s)
        if self._busy >= self._config.max_sessions:
            message = f"all {self._config.max_sessions} sessions are taken: try again in {retry_s:g} s"
            return refusal("overloaded", CloseCode.OVERLOADED, message, retry_after_s=retry_s)
        return ()
