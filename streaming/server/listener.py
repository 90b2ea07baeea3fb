"""The port of a server: websockets and plain HTTP behind one front."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from streaming.server.announcing import SOCKET_LOG, AnnouncingProtocol
from streaming.server.config import ServerConfig
from streaming.server.doorway import Doorway
from streaming.server.http_front import HttpFront

# Load balancers cut a connection that is silent for 60 s.
_PING_INTERVAL_S = 20
_CLOSE_TIMEOUT_S = 5
_OPEN_TIMEOUT_S = 10


async def listen(
    config: ServerConfig,
    client: Callable[[ServerConnection], Awaitable[None]],
    refused_request: Callable[[ServerConnection, Request], Response | None],
    http: Callable[[], asyncio.Protocol],
    doorway: Doorway,
) -> Server:
    """Listen where `config` says.

    Args:
        config: of the server.
        client: serves a websocket.
        refused_request: what is answered to a handshake instead of a websocket; None for one that is in order.
        http: makes a connection that speaks plain HTTP.
        doorway: how many may come.

    Raises:
        OSError: the address cannot be listened on.
    """

    def websocket(server: Server, options: dict[str, Any]) -> ServerConnection:
        return ServerConnection(AnnouncingProtocol(config.connection.limits), server, **options)

    def front(_: ServerProtocol, server: Server, **options: Any) -> HttpFront:  # noqa: ANN401
        make = partial(websocket, server, options)
        return HttpFront(make, http, _OPEN_TIMEOUT_S, config.connection.send_timeout_s, doorway, config.tls)

    return await serve(
        client,
        config.host,
        config.port,
        process_request=refused_request,
        # All that asyncio wants of it is a protocol, and the front passes all on to the library's connection.
        create_connection=front,  # type: ignore[arg-type]
        # Speech hardly compresses, and an inflated frame would escape the size check at its header.
        compression=None,
        open_timeout=_OPEN_TIMEOUT_S,
        ping_interval=_PING_INTERVAL_S,
        # A full inbox delays pongs behind audio; a client that is gone shows by the idle timer.
        ping_timeout=None,
        close_timeout=_CLOSE_TIMEOUT_S,
        max_queue=4,
        logger=SOCKET_LOG,
    )
