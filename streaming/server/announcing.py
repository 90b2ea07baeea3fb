"""The websocket as the server speaks it: no connection is closed abnormally before an error has said why."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode as SocketCloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streaming.protocol import CloseCode, Error, Limits, encode
from streaming.server.api_keys import TOKEN_SUBPROTOCOL
from streaming.sessions.closing import Close, Output, frame_too_big, refusal

_REFUSED_FRAMES = (CloseCode.FRAME_TOO_BIG, CloseCode.BROKEN_FRAME, CloseCode.BROKEN_TEXT)
logger = logging.getLogger(__name__)
# What the library tells of clients may hold their keys and tokens; of its errors only one is of our making.
SOCKET_LOG = logging.getLogger(f"{__name__}.socket")
SOCKET_LOG.addFilter(lambda record: record.getMessage() == "connection handler failed")


class AnnouncingProtocol(ServerProtocol):
    """The library's protocol, which sends our error before it closes over a frame that it cannot take.

    A frame above `limits` is refused at its header, before it is in memory, so no session ever sees it; the session can
    be taken up again. That error takes no number: its `seq` is that of the last message, as `last_seq` tells it.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(select_subprotocol=_choose_token, max_size=limits.max_frame_bytes, logger=SOCKET_LOG)
        self._limits = limits
        self.last_seq: Callable[[], int] = lambda: 0

    def fail(self, code: SocketCloseCode | int, reason: str = "") -> None:
        """Fail the connection, with the error first where the connection can carry one."""
        if self.state is State.OPEN and code in _REFUSED_FRAMES:
            error, _ = self._refusal(CloseCode(code), reason)
            self.send_text(encode(error).encode())
        super().fail(code, reason)

    def _refusal(self, code: CloseCode, reason: str) -> tuple[Error, Close]:
        if code is CloseCode.FRAME_TOO_BIG:
            return frame_too_big(self._limits, seq=max(0, self.last_seq()))
        message = f"a frame breaks the websocket protocol ({reason or code.name}): use a websocket library"
        return refusal("broken_frame", code, message, seq=max(0, self.last_seq()))


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
