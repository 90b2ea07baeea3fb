"""One port for two protocols: the head of a request decides whether a websocket or plain HTTP follows.

The websocket goes to the library's own connection, which knows nothing of this; everything else to an ASGI
application.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from streaming.server.doorway import Doorway, household

_MAX_HEAD_BYTES = 16_384
# More than any client has under way that takes its messages.
_MOST_UNSENT_BYTES = 4_194_304
_END_OF_HEAD = b"\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 59\r\n\r\n"
    b"too many connections of your address: close some, try again"
)


class HttpFront(asyncio.Protocol):
    """The protocol of one connection: reads the head, then passes everything on to who is asked for.

    Args:
        websocket: makes what a websocket handshake goes to.
        http: makes what any other request goes to.
        patience_s: how long a head may take to come.
        send_timeout_s: how long the client may take nothing of what is sent.
        doorway: who may stand there.
        tls: certificate and key of a server that speaks TLS. The handshake begins behind the doorway, so that silent
            connections are counted there too.
    """

    def __init__(
        self,
        websocket: Callable[[], asyncio.BaseProtocol],
        http: Callable[[], asyncio.Protocol],
        patience_s: float,
        send_timeout_s: float,
        doorway: Doorway,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._websocket, self._http, self._doorway = websocket, http, doorway
        self._patience_s, self._send_timeout_s = patience_s, send_timeout_s
        self._tls = tls
        self._handshake: asyncio.Task[None] | None = None
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if not self._doorway.enter(self, household(str(peer[0])) if peer else ""):
            # Over TLS nothing could be said before the handshake.
            self._refuse(b"" if self._tls else _TOO_MANY)
            return
        self._cut_after(self._patience_s)
        if self._tls is not None:
            self._transport.pause_reading()
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(self._transport, self._tls))

    async def _shake_hands(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(
                transport, self, tls, server_side=True, ssl_handshake_timeout=self._patience_s
            )
        except (OSError, ConnectionError):
            # No TLS, another certificate wanted, gone: whoever it was knows.
            self._lost()
            transport.abort()
            return
        if upgraded is not None:
            self._transport = upgraded
            came, self._handshake = bytes(self._head), None
            self._head.clear()
            if came:
                self.data_received(came)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect the head; with its end, hand over what came."""
        transport = self._transport
        if self._inner is not None:
            self._inner.data_received(data)
            if transport is not None and transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
                # Answers that nobody takes, such as those to a flood of pings.
                transport.abort()
            return
        self._head += data
        # What comes with the end of the handshake waits until there is something to answer it with.
        if transport is None or transport.is_closing() or self._handshake is not None:
            return
        if not self._head[:1].isalpha():
            # TLS, or noise: no request ever comes of it, and the client need not wait to learn that.
            transport.close()
        elif (end := self._head.find(_END_OF_HEAD)) > _MAX_HEAD_BYTES or (
            end < 0 and len(self._head) > _MAX_HEAD_BYTES
        ):
            self._refuse(_TOO_LARGE)
        elif end >= 0:
            self._decided()
            make = self._websocket if _asks_for_websocket(bytes(self._head)) else self._http
            self._inner = cast(asyncio.Protocol, make())
            self._inner.connection_made(transport)
            self._inner.data_received(bytes(self._head))
            self._head.clear()

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client takes too slowly what is sent."""
        if self._inner is not None:
            self._inner.pause_writing()
        self._cut_after(self._send_timeout_s)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._cut_never()
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is no more."""
        self._lost()
        if self._inner is not None:
            self._inner.connection_lost(error)

    def _lost(self) -> None:
        self._decided()
        self._doorway.leave(self)

    def _refuse(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)
            self._transport.close()

    def _decided(self) -> None:
        self._cut_never()
        self._doorway.decided(self)

    def _cut_after(self, delay_s: float) -> None:
        self._cut_never()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.abort)

    def _cut_never(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _asks_for_websocket(head: bytes) -> bool:
    """Whether a header `Upgrade: websocket` is among the lines (RFC 6455, section 4.1)."""
    for line in head.partition(_END_OF_HEAD)[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and value.strip().lower() == b"websocket":
            return True
    return False
