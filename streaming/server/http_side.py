"""Plain HTTP as the server speaks it: one request a connection, from known pages only, answers taken in time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from starlette.datastructures import Headers
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from streaming.server.access import Access
from streaming.server.answers import error_response

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


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
        return H11Protocol(config=self._config, server_state=self._state, app_state={})

    async def close(self, timeout_s: float) -> None:
        """Let answers that are under way finish, then cut what is left."""
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class Gate:
    """The application behind what holds for every answer.

    Args:
        application: what answers.
        access: from which pages it may be asked.
        send_timeout_s: how long a client may take nothing of an answer.
    """

    def __init__(self, application: Application, access: Access, send_timeout_s: float) -> None:
        self._application, self._access, self._send_timeout_s = application, access, send_timeout_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_in_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A second head on this connection would come without the bounds of the first.
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            async with asyncio.timeout(self._send_timeout_s):
                await send(message)

        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if self._access.knows_page(origin, headers.get("host")):
            await self._application(scope, receive, send_in_time)
        else:
            where = headers.get("host") if origin is None else origin
            message = f"requests from {where} are not answered: name its origin to --allow-origin"
            await error_response(403, "foreign_origin", message)(scope, receive, send_in_time)
