"""The port of a server: websockets and plain HTTP behind one front."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from streaming.errors import SettingError
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
        SettingError: the address cannot be listened on.
    """

    def websocket(server: Server, options: dict[str, Any]) -> ServerConnection:
        return ServerConnection(AnnouncingProtocol(config.connection.limits), server, **options)

    def front(_: ServerProtocol, server: Server, **options: Any) -> HttpFront:  # noqa: ANN401
        make = partial(websocket, server, options)
        return HttpFront(make, http, _OPEN_TIMEOUT_S, config.connection.send_timeout_s, doorway, config.tls)

    try:
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
    except OSError as error:
        raise _refused(config.host, config.port, error) from error


def check_address(host: str, port: int) -> None:
    """Find out that a port cannot be listened on before anything that takes long is done for it.

    Raises:
        SettingError: it is taken, may not be used, or the host is none of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As asyncio does: connections that have just been closed do not keep the port.
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise _refused(host, port, error) from error


def _refused(host: str, port: int, error: OSError) -> SettingError:
    why = error.strerror or error
    return SettingError(f"cannot listen on {host} port {port}: {why}; choose another --port or --host")
