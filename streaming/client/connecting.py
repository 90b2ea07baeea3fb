"""Opening the connection, and one sentence for each way in which that fails."""

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from streaming.client.address import shown_address
from streaming.client.errors import ServerUnreachable
from streaming.client.options import StreamOptions
from streaming.errors import SettingError

_CLOSE_TIMEOUT_S = 2.0
_MISSED_PINGS = 3
# 408 Request Timeout, 429 Too Many Requests, and what gateways say of a server that is away.
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


@asynccontextmanager
async def connected(address: str, options: StreamOptions) -> AsyncIterator[ClientConnection]:
    """A connection to `address`.

    Raises:
        ServerUnreachable: there is none.
        SettingError: the API key cannot be sent.
    """
    headers = {} if options.api_key is None else {"Authorization": f"Bearer {_sendable_key(options.api_key)}"}
    # The library would send even a connection to this machine through the proxy of the environment.
    direct: dict[str, Any] = {"proxy": None} if _is_this_machine(address) else {}
    try:
        websocket = await connect(
            address,
            additional_headers=headers,
            compression=None,
            open_timeout=options.open_timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=options.ping_s,
            ping_timeout=_MISSED_PINGS * options.ping_s,
            **direct,
        )
    except (OSError, InvalidHandshake, InvalidURI) as error:
        parts = urlsplit(shown_address(address))
        url = f"{parts.scheme}://{parts.netloc}"
        why = _why_unreachable(error, is_tls=parts.scheme == "wss")
        raise ServerUnreachable(f"cannot stream to {url}: {why}", may_pass=_may_pass(error)) from error
    try:
        yield websocket
    finally:
        await websocket.close()


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sendable_key(key: str) -> str:
    """`key` itself, if a header can carry it. Raises SettingError, which never repeats a key."""
    if not (key.isascii() and key.isprintable() and key.strip() == key and key):
        raise SettingError(
            f"the API key ({len(key)} characters) is not one line of ASCII without spaces around it; "
            "correct --api-key or TERMCUE_API_KEY"
        )
    return key


def _may_pass(error: Exception) -> bool:
    """Whether the network or the server can be the cause, and not the address."""
    match error:
        case ssl.SSLCertVerificationError() | InvalidURI():
            return False
        case InvalidStatus():
            return error.response.status_code in _PASSING_STATUSES
        case OSError() | InvalidMessage():
            return True
        case _:
            return False


def _why_unreachable(error: Exception, *, is_tls: bool) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message}): correct the address, or trust it"
        case TimeoutError():
            return "no answer in time: is the address right, and no firewall between?"
        case socket.gaierror():
            return f"its host name is unknown ({error.strerror}): correct the address"
        case ConnectionRefusedError():
            return "nothing listens there: start `termcue serve`, or correct the address"
        case ssl.SSLError() | ConnectionError() | InvalidMessage() if is_tls:
            return "what listens there does not speak TLS: give ws:// instead of wss://, or correct the address"
        case InvalidURI():
            # Its text would repeat the address with all that is secret in it.
            return f"{error.msg}: correct the address"
        case InvalidStatus():
            text = (error.response.body or b"").decode("utf-8", "replace").strip()
            return f"the server answered HTTP {error.response.status_code}{': ' if text else ''}{text}"
        case InvalidMessage():
            return "what listens there is no websocket server: correct the address"
        case _:
            return str(error) or f"the connection failed ({type(error).__name__}): correct the address"
