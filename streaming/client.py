"""`termcue stream`: sends a source to a server and gives the server's messages as they come."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from streaming.audio import AudioFormat
from streaming.errors import SettingError, WireError
from streaming.protocol import (
    HINTS_PATH,
    PROTOCOL_VERSION,
    Begin,
    CloseStream,
    Error,
    KeepAlive,
    Marker,
    MarkerReached,
    Metadata,
    ServerMessage,
    decode_server,
    encode,
)
from streaming.source_pump import SourcePump, cut_frames

# Markers of our own: the server has worked on all audio before one that it sends back.
_FLOW_PREFIX = "flow-"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What is asked of the server; None leaves a choice to it.

    `ahead_s` seconds of audio may be under way, so that a file goes as fast as the server works and no faster.
    `keep_alive_s` after the last chunk of a source that pauses, the server is told that the client still lives.
    """

    glossary: str
    format: AudioFormat = field(default_factory=AudioFormat)
    api_key: str | None = None
    profile: str | None = None
    source_lang: str | None = None
    target_lang: str | None = None
    vad_events: bool = True
    abstain_events: bool = False
    ahead_s: int = 5
    keep_alive_s: float = 10
    open_timeout_s: float = 10


def hints_address(url: str, options: StreamOptions) -> str:
    """The address to connect to: `url`, with the protocol's path where it has none, asking for what `options` say.

    Raises:
        WireError: `url` is no websocket address.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise WireError(f"{url!r} is no websocket address: give ws://HOST:PORT{HINTS_PATH}")
    asked: dict[str, str | None] = {
        **dict(parse_qsl(parts.query)),
        "glossary": options.glossary,
        "source_lang": options.source_lang,
        "target_lang": options.target_lang,
        "encoding": options.format.encoding,
        "sample_rate": str(options.format.sample_rate),
        "channels": str(options.format.channels),
        "profile": options.profile,
        "vad_events": "true" if options.vad_events else "false",
        "abstain_events": "true" if options.abstain_events else "false",
    }
    query = urlencode({key: value for key, value in asked.items() if value is not None})
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or HINTS_PATH, query, ""))


async def stream_hints(
    url: str, chunks: Iterable[bytes], options: StreamOptions
) -> AsyncGenerator[ServerMessage, None]:
    """Send `chunks` and give the server's messages, `Begin` first and, when the audio has ended, `Metadata` last.

    Args:
        url: address of the server.
        chunks: audio in `options.format`; iterated on a thread, so it may block, and a live source sets the pace.
        options: what is asked of the server.

    Raises:
        WireError: the server cannot be reached, refuses, speaks another protocol or closes early. Its fatal `Error`
            is given before it is raised.
        SettingError: the API key cannot be sent.
        Exception: whatever `chunks` raises.
    """
    async with _connected(url, options) as websocket:
        sender = _Sender(websocket, options)
        sending = asyncio.create_task(sender.send(chunks))
        try:
            async with aclosing(_messages(url, websocket, sender)) as messages:
                async for message in messages:
                    yield message
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@asynccontextmanager
async def _connected(url: str, options: StreamOptions) -> AsyncIterator[ClientConnection]:
    address = hints_address(url, options)
    headers = {} if options.api_key is None else {"Authorization": f"Bearer {_sendable_key(options.api_key)}"}
    # The library would send even a connection to this machine through the proxy of the environment.
    direct: dict[str, Any] = {"proxy": None} if _is_this_machine(address) else {}
    try:
        websocket = await connect(
            address,
            additional_headers=headers,
            compression=None,
            open_timeout=options.open_timeout_s,
            **direct,
        )
    except (OSError, InvalidHandshake, InvalidURI) as error:
        is_tls = urlsplit(url).scheme == "wss"
        raise WireError(f"cannot stream to {url}: {_why_unreachable(error, is_tls=is_tls)}") from error
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
        case InvalidStatus():
            text = (error.response.body or b"").decode("utf-8", "replace").strip()
            return f"the server answered HTTP {error.response.status_code}{': ' if text else ''}{text}"
        case InvalidMessage():
            return "what listens there is no websocket server: correct the address"
        case _:
            return str(error) or f"the connection failed ({type(error).__name__}): correct the address"


async def _messages(url: str, websocket: ClientConnection, sender: "_Sender") -> AsyncGenerator[ServerMessage, None]:
    """The server's messages up to `Metadata`, without the echoes of our own markers."""
    fatal: Error | None = None
    while True:
        try:
            message = decode_server(await websocket.recv(decode=True))
        except ConnectionClosed as closed:
            if sender.broken is not None:
                raise sender.broken from None
            raise WireError(_why_closed(url, closed, fatal)) from closed
        match message:
            case MarkerReached(id=marker) if marker.startswith(_FLOW_PREFIX):
                sender.release()
                continue
            case None:
                continue
            case Begin() if message.protocol != PROTOCOL_VERSION:
                spoken = f"protocol {message.protocol}, this client {PROTOCOL_VERSION}"
                raise WireError(f"{url} speaks {spoken}: update the older of the two")
            case Error(fatal=True):
                fatal = message
        yield message
        if isinstance(message, Metadata):
            return


def _why_closed(url: str, closed: ConnectionClosed, fatal: Error | None) -> str:
    if fatal is not None:
        return f"{url} ended the stream ({fatal.close_code} {fatal.code}): {fatal.message}"
    code = "without a word" if closed.rcvd is None else f"with code {closed.rcvd.code} {closed.rcvd.reason}".rstrip()
    return f"{url} closed {code} before the stream was over: look at the server's log"


class _Sender:
    """Source -> server, with at most `ahead_s` seconds of audio that the server has not worked on.

    `broken` is what the source raised, if it did.
    """

    broken: Exception | None = None

    def __init__(self, websocket: ClientConnection, options: StreamOptions) -> None:
        self._websocket = websocket
        self._options = options
        self._credit = asyncio.Semaphore(options.ahead_s)

    def release(self) -> None:
        """The server has worked on another second."""
        self._credit.release()

    async def send(self, chunks: Iterable[bytes]) -> None:
        """Send all of `chunks`, then `CloseStream`. What breaks ends the connection, so that the receiver sees it."""
        try:
            await self._send_audio(cut_frames(chunks, self._options.format))
            await self._websocket.send(encode(CloseStream()))
        except ConnectionClosed:
            # The receiver knows why.
            return
        except Exception as error:
            self.broken = error
            await self._websocket.close()

    async def _send_audio(self, frames: Iterable[bytes]) -> None:
        bytes_per_second = self._options.format.sample_rate * self._options.format.bytes_per_frame
        sent = seconds = 0
        pump = SourcePump(frames)
        try:
            while (frame := await self._next_frame(pump)) is not None:
                await self._websocket.send(frame)
                sent += len(frame)
                while sent >= (seconds + 1) * bytes_per_second:
                    seconds += 1
                    await self._credit.acquire()
                    await self._websocket.send(encode(Marker(id=f"{_FLOW_PREFIX}{seconds}")))
        finally:
            pump.stop()

    async def _next_frame(self, pump: SourcePump) -> bytes | None:
        while True:
            try:
                async with asyncio.timeout(self._options.keep_alive_s):
                    return await pump.get()
            except TimeoutError:
                await self._websocket.send(encode(KeepAlive()))
