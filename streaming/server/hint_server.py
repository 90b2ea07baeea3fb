"""A running server: lets clients in, gives each its connection, and answers plain HTTP on the same port."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed

from streaming.encoding.batching import ComputeSlots
from streaming.errors import SettingError
from streaming.protocol import HINTS_PATH, Error
from streaming.server.access import Access, is_loopback
from streaming.server.admission import Admission
from streaming.server.announcing import deliver
from streaming.server.api_keys import ApiKeys
from streaming.server.config import ServerConfig
from streaming.server.connection import Connection
from streaming.server.doorway import Doorway
from streaming.server.http_app import Mounts, Site, application
from streaming.server.http_side import Gate, HttpSide
from streaming.server.leave import Leave, cut_stalled
from streaming.server.listener import listen
from streaming.server.live_session import LiveSession
from streaming.server.metrics import ServerMetrics
from streaming.server.resumable import ResumableSessions
from streaming.server.shared import Record, Shared
from streaming.session import ServedGlossary

# A connection that is cut gets so long to tidy up.
_CUT_S = 0.5
# Clients that have not said yet what they want.
_MOST_UNDECIDED = 256
# How often sessions are looked for that nobody takes up.
_SWEEP_S = 5
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
        record: begins to record a session.
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
        record: Record | None = None,
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
        self._access = Access(keys, config.allowed_origins)
        self._connections: set[Connection] = set()
        self._doorway = Doorway(config.connections_per_address, _MOST_UNDECIDED)
        self._executor = ThreadPoolExecutor(config.max_sessions + _SPARE_THREADS, thread_name_prefix="session")
        self._sessions = ResumableSessions(
            config.max_sessions, config.connection.limits.resume_window_s, self._end_session
        )
        self._admission = Admission(
            config, self._access, self._sessions, lambda: len(self._connections), lambda: self.is_ready
        )
        self._shared = Shared(
            config=config.connection,
            served=served,
            sessions=self._sessions,
            executor=self._executor,
            slots=slots or ComputeSlots(config.threads),
            metrics=self.metrics,
            retry_after_s=config.retry_after_s,
            record=record,
            log_terms=config.log_terms,
        )
        self._leave = Leave()
        self._ending: set[asyncio.Future[None]] = set()
        site = Site(
            config=config,
            shared=self._shared,
            reload=reload,
            access=self._access,
            admission=self._admission,
            leave=self._leave,
            end=self._end_session,
        )
        self._http = HttpSide(Gate(application(site, mounts or {}), self._access))
        self._server: Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.metrics.watch(lambda: self._admission.busy, lambda: self._sessions.parked)

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._server = await listen(
            self._config, self._serve_client, self._admission.refused_request, self._http.connection, self._doorway
        )
        self._sweeping = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no new client, dismiss the present ones and wait for their goodbyes, `drain_s` at most."""
        self._admission.is_stopping = True
        if self._server is not None:
            for connection in self._connections:
                connection.stop()
            self._server.close(close_connections=False)
            self._doorway.clear()
            self._leave.begin(self._config.drain_s)
            cutting = asyncio.create_task(cut_stalled(self._transports))
            await self._http.close(self._leave)
            await self._end_connections(self._server)
            cutting.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._sessions.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _transports(self) -> list[asyncio.Transport]:
        return [*self._http.transports, *(connection.transport for connection in self._connections)]

    async def _end_connections(self, server: Server) -> None:
        """Wait for the clients' goodbyes; who is still there at the end is cut."""
        try:
            async with self._leave.until_the_end():
                await server.wait_closed()
        except TimeoutError:
            logger.warning("some clients did not take their goodbye in time, and were cut")
            self._doorway.clear_all()
            with contextlib.suppress(TimeoutError):  # a thread may still be at work for one of them
                async with asyncio.timeout(_CUT_S):
                    await server.wait_closed()

    def hurry(self) -> None:
        """Whoever is waited for while the server leaves is waited for no longer."""
        self._leave.begin(0)

    def replace_keys(self, keys: ApiKeys) -> None:
        """Let these in from here on; sessions that were let in by another key end with 4401.

        Raises:
            SettingError: the server began without keys, and listens as such a one.
        """
        self._access.replace_keys(keys)
        for connection in self._connections:
            if not self._access.lets_in(connection.key):
                connection.revoke()

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

    async def _sweep(self) -> None:
        """Sessions that nobody takes up leave, though nobody asks for them."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._sessions.expire()

    def _end_session(self, live: LiveSession) -> None:
        """Close its recording, which may have to wait for the disk."""
        ending = asyncio.get_running_loop().run_in_executor(self._executor, live.close)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _serve_client(self, websocket: ServerConnection) -> None:
        request = websocket.request
        if request is None:
            raise RuntimeError("a connection was handed over before its handshake")
        query = request.path.partition("?")[2]
        # Asked first: with its admission a token is used up.
        key = self._admission.key_of(request, query)
        refused = self._admission.refused(request, query)
        if refused:
            code = next(output.code for output in refused if isinstance(output, Error))
            self.metrics.refused(code)
            logger.warning("a client was refused: %s", code, extra={"code": code})
            try:
                await deliver(websocket, refused, self._config.connection.send_timeout_s)
            except ConnectionClosed:
                logger.info("a client left before it was refused")
            return
        connection = Connection(websocket, f"s_{secrets.token_hex(4)}", self._shared, key)
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
