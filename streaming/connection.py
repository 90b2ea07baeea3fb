"""The thin shell around one session: socket -> inbox -> session on a thread -> socket."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode as SocketCloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from streaming.api_keys import TOKEN_SUBPROTOCOL
from streaming.inbox import Inbox
from streaming.protocol import CloseCode, Error, Limits, encode
from streaming.session import Close, Output, ServedGlossary, Session, frame_too_big, open_session, refusal

RESTART_MESSAGE = "the server stops: connect again in a moment"

_LONGEST_TICK_S = 1.0
_REFUSED_FRAMES = (CloseCode.FRAME_TOO_BIG, CloseCode.BROKEN_FRAME, CloseCode.BROKEN_TEXT)
_Result = TypeVar("_Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfig:
    """Bounds of one connection.

    `queue_bytes` of frames may wait for the session; a client that takes no message for `send_timeout_s` is cut off.
    """

    limits: Limits = field(default_factory=Limits)
    queue_bytes: int = 1_048_576
    send_timeout_s: float = 30


class AnnouncingProtocol(ServerProtocol):
    """The library's protocol, which sends our error before it closes over a frame that it cannot take.

    A frame above `limits` is refused at its header, before it is in memory, so no session ever sees it.
    """

    def __init__(self, limits: Limits, origins: Sequence[Origin | None]) -> None:
        super().__init__(
            origins=origins,
            select_subprotocol=_choose_token,
            max_size=limits.max_frame_bytes,
        )
        self._limits = limits
        self._texts_sent = 0

    def send_text(self, data: bytes | bytearray | memoryview, fin: bool = True) -> None:
        """Send a text frame, and count: the count is the `seq` of the next message."""
        super().send_text(data, fin)
        self._texts_sent += 1

    def fail(self, code: SocketCloseCode | int, reason: str = "") -> None:
        """Fail the connection, with the error first where the connection can carry one."""
        if self.state is State.OPEN and code in _REFUSED_FRAMES:
            error, _ = self._refusal(CloseCode(code), reason)
            self.send_text(encode(error).encode())
        super().fail(code, reason)

    def _refusal(self, code: CloseCode, reason: str) -> tuple[Error, Close]:
        if code is CloseCode.FRAME_TOO_BIG:
            return frame_too_big(self._limits, seq=self._texts_sent)
        message = f"a frame breaks the websocket protocol ({reason or code.name}): use a websocket library"
        return refusal("broken_frame", code, message, seq=self._texts_sent)


def _choose_token(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """A browser that sends its key as a subprotocol must see one of its offers chosen."""
    return Subprotocol(TOKEN_SUBPROTOCOL) if TOKEN_SUBPROTOCOL in offered else None


async def deliver(websocket: ServerConnection, outputs: Sequence[Output], timeout_s: float) -> bool:
    """Send messages and close as `outputs` say; whether the connection is still open.

    Raises:
        ConnectionClosed: the client has gone.
    """
    for output in outputs:
        if isinstance(output, Close):
            await websocket.close(output.code, output.reason)
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await websocket.send(encode(output))
        except TimeoutError:
            logger.warning("a client took no message for %g s: connection cut", timeout_s)
            websocket.transport.abort()
            return False
    return True


class Connection:
    """One client from its greeting to its close. The session is called on `executor`, one frame after the other."""

    def __init__(
        self, websocket: ServerConnection, session_id: str, config: ConnectionConfig, executor: Executor
    ) -> None:
        self._websocket = websocket
        self._session_id = session_id
        self._config = config
        self._executor = executor
        self._inbox = Inbox(config.queue_bytes)
        self._tick_s = min(_LONGEST_TICK_S, config.limits.idle_timeout_s / 4)
        self._overflows_told = 0
        self._stopping = False
        self._log = logging.LoggerAdapter(logger, {"session": session_id})

    def stop(self) -> None:
        """Let the frame being worked on finish, then close with 1001."""
        self._stopping = True
        self._inbox.end()

    async def run(self, query: str, served: Mapping[str, ServedGlossary]) -> None:
        """Serve the client until either side closes."""
        reader = asyncio.create_task(self._read())
        try:
            await self._serve(query, served)
        except ConnectionClosed:
            self._log.info("%s: the client left without closing its stream", self._session_id)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self) -> None:
        """Socket -> inbox. Goes on while the connection closes, or the close could not be read past the audio."""
        try:
            async for frame in self._websocket:
                await self._inbox.put(frame)
        except ConnectionClosed:
            pass
        finally:
            self._inbox.end()

    async def _serve(self, query: str, served: Mapping[str, ServedGlossary]) -> None:
        session: Session | None = None
        try:
            session, outputs = await self._on_thread(
                lambda: open_session(query, served, session_id=self._session_id, limits=self._config.limits)
            )
            while await self._deliver(outputs) and session is not None:
                outputs = await self._next_outputs(session)
        except ConnectionClosed:
            raise
        except Exception:
            # The outermost edge: whatever broke, the client hears of it and the other sessions go on.
            self._log.exception("%s: internal error", self._session_id)
            message = f"session {self._session_id} broke; the server's log says why"
            fail = refusal if session is None else session.fail
            await self._deliver(fail("internal", CloseCode.INTERNAL, message))

    async def _next_outputs(self, session: Session) -> list[Output]:
        try:
            async with asyncio.timeout(self._tick_s):
                frame = await self._inbox.get()
        except TimeoutError:
            return session.tick(time.monotonic())
        if self._stopping:
            return session.fail("restart", CloseCode.RESTART, RESTART_MESSAGE)
        if frame is None:
            return [Close(CloseCode.NORMAL, "")]
        told = self._overflow(session)
        if isinstance(frame, str):
            return told + await self._on_thread(lambda: session.receive_text(frame))
        return told + await self._on_thread(lambda: session.receive_audio(frame))

    def _overflow(self, session: Session) -> list[Output]:
        if self._inbox.overflows == self._overflows_told:
            return []
        self._overflows_told = self._inbox.overflows
        return session.overflowed(self._overflows_told)

    async def _deliver(self, outputs: Sequence[Output]) -> bool:
        if any(isinstance(output, Close) for output in outputs):
            self._inbox.end()
        return await deliver(self._websocket, outputs, self._config.send_timeout_s)

    async def _on_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
