"""Plain HTTP as the server speaks it: one request a connection, from known pages only."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from starlette.datastructures import Headers
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from streaming.server.access import Access
from streaming.server.answers import error_response
from streaming.server.leave import Leave

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


# How often it is looked whether all answers are given.
_LOOK_S = 0.02
# An answer that is cut gets so long to tidy up.
_TIDY_S = 0.5


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """That somebody sends what is no HTTP is no news, nor that an answer ends with the server; that one failed is."""
    broke = record.exc_info[1] if record.exc_info else None
    return record.levelno >= logging.ERROR and not isinstance(broke, asyncio.CancelledError)


_HTTP_LOG = logging.getLogger(f"{__name__}.http")
_HTTP_LOG.addFilter(_is_worth_telling)


class _Connection(H11Protocol):
    """Of a request that turns out to be no HTTP after its head, whoever answers it finds the client gone."""

    def send_400_response(self, msg: str) -> None:
        """Refuse it, where no answer has begun: h11 takes no second one, and each attempt would be a traceback."""
        if self.cycle is None:
            super().send_400_response(msg)
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)


class HttpSide:
    """Makes connections that speak plain HTTP to one ASGI application."""

    def __init__(self, application: Application) -> None:
        self._config = Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()

    def connection(self) -> asyncio.Protocol:
        """One more connection."""
        made = _Connection(config=self._config, server_state=self._state, app_state={})
        made.logger = _HTTP_LOG
        return made

    @property
    def transports(self) -> list[asyncio.Transport]:
        """Those of all connections."""
        return [connection.transport for connection in self._state.connections]

    async def close(self, leave: Leave) -> None:
        """Let answers that are under way finish; at the end cut what is left."""
        for connection in list(self._state.connections):
            connection.shutdown()
        while (self._state.connections or self._state.tasks) and leave.left_s:
            await asyncio.sleep(min(_LOOK_S, leave.left_s))
        for transport in self.transports:
            transport.abort()
        # Who waits for the client learns that it is gone, and tidies up.
        tasks = set(self._state.tasks)
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=_TIDY_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Gate:
    """The application behind what holds for every answer.

    Args:
        application: what answers.
        access: from which pages it may be asked.
    """

    def __init__(self, application: Application, access: Access) -> None:
        self._application, self._access = application, access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A second head on this connection would come without the bounds of the first.
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if self._access.knows_page(origin, headers.get("host")):
            await self._application(scope, receive, send_and_close)
        else:
            where = headers.get("host") if origin is None else origin
            message = f"requests from {where} are not answered: name its origin to --allow-origin"
            await error_response(403, "foreign_origin", message)(scope, receive, send_and_close)
