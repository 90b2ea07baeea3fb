"""The thin shell between one socket and a session: socket -> inbox -> session on a thread -> socket.

A connection may end before its session does: then all that it received is worked on, and the session waits for its
client in the table of `ResumableSessions`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from streaming.protocol import CloseCode, Error
from streaming.server.announcing import AnnouncingProtocol, deliver
from streaming.server.inbox import Inbox, Received
from streaming.server.live_session import LiveSession, ends
from streaming.server.shared import Shared
from streaming.sessions.closing import Close, Output, RefusedSession, refusal
from streaming.sessions.session_query import ResumeRequest, resume_of

RESTART_MESSAGE = "the server stops: connect again in a moment"
KEY_REMOVED_MESSAGE = "the API key of this session was removed: ask the server's owner for another one"

_LONGEST_TICK_S = 1.0
# A goodbye to a socket whose client is elsewhere already.
_SUPERSEDED_TIMEOUT_S = 2.0
logger = logging.getLogger(__name__)


class Connection:
    """One client from its greeting to its close. The session is called on a thread, for one frame after the other.

    `key` is the digest of the key by which it was let in.
    """

    def __init__(self, websocket: ServerConnection, session_id: str, shared: Shared, key: bytes | None = None) -> None:
        self.finished = asyncio.Event()
        self.session_id = session_id
        self.key = key
        self._websocket = websocket
        self._shared = shared
        self._inbox = Inbox(shared.config.queue_bytes)
        self._tick_s = min(_LONGEST_TICK_S, shared.config.limits.idle_timeout_s / 4)
        self._overflows_told = 0
        self._is_superseded = self._is_stopping = self._is_revoked = self._is_sending = self._has_said_all = False
        self._live: LiveSession | None = None
        self._token = ""

    @property
    def transport(self) -> asyncio.Transport:
        """Over which the client is reached."""
        return self._websocket.transport

    def stop(self) -> None:
        """Let the frame being worked on finish, then close with 1001."""
        self._is_stopping = True
        self._inbox.clear()

    def revoke(self) -> None:
        """Its key was removed: let the frame being worked on finish, then close with 4401."""
        self._is_revoked = True
        self._inbox.clear()

    def supersede(self) -> None:
        """Another connection takes the session up: work on what came, let it go, then close with 4409."""
        self._is_superseded = True
        self._inbox.end()
        if self._is_sending:
            # A client that is elsewhere takes nothing here any more.
            self._websocket.transport.abort()

    async def run(self, query: str) -> None:
        """Serve the client until either side closes."""
        reader = asyncio.create_task(self._read())
        try:
            await self._serve(query)
        except ConnectionClosed:
            logger.info("%s: the connection broke", self.session_id, extra={"session": self.session_id})
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await self._leave()
            self.finished.set()

    async def _read(self) -> None:
        """Socket -> inbox. Goes on while the connection closes, or the close could not be read past the audio."""
        try:
            async for frame in self._websocket:
                await self._inbox.put(frame)
        except ConnectionClosed:
            pass
        finally:
            self._inbox.end()

    async def _serve(self, query: str) -> None:
        try:
            outputs = await self._greet(query)
            while await self._deliver(outputs) and self._live is not None:
                outputs = await self._next_outputs(self._live)
        except ConnectionClosed:
            raise
        except Exception:
            # The outermost edge: whatever broke, the client hears of it and the other sessions go on.
            logger.exception("%s: internal error", self.session_id, extra={"session": self.session_id})
            message = f"session {self.session_id} broke; the server's log says why"
            fail = refusal if self._live is None else self._live.fail
            await self._deliver(fail("internal", CloseCode.INTERNAL, message))

    async def _greet(self, query: str) -> Sequence[Output]:
        """Open the session that the address asks for, or take one up."""
        try:
            asked = resume_of(query)
        except RefusedSession as refused:
            return refusal(refused.code, refused.close_code, str(refused), field=refused.field)
        if asked is not None:
            return await self._take_up(asked)
        token = self._shared.sessions.new_token()
        live, outputs = await self._shared.opened(query, self.session_id, token)
        if live is not None:
            self._attach(token, live)
            self._shared.sessions.add(token, live)
            listened = live.session.settings.glossary
            told = {"session": self.session_id, "glossary": listened}
            logger.info("%s: begun, listening for %s", self.session_id, listened, extra=told)
        return outputs

    async def _take_up(self, asked: ResumeRequest) -> Sequence[Output]:
        live = self._shared.sessions.find(asked.token)
        # Another client with the same token may be faster while this one waits. One that cannot be told what it missed
        # takes nobody's place.
        while live is not None and live.connection is not None and live.session.remembers(asked.last_seq):
            other = live.connection
            other.supersede()
            await other.finished.wait()
            live = self._shared.sessions.find(asked.token)
        if live is None:
            message = "there is no such session any more: open a new one"
            return refusal("resume_expired", CloseCode.RESUME_EXPIRED, message)
        outputs = live.resumed(asked.last_seq)
        if not ends(outputs):
            self._attach(asked.token, live)
            self.session_id = live.session.session_id
            self._shared.sessions.take_up(asked.token)
            self._shared.metrics.opened(resumed=True)
            logger.info("%s: taken up again", self.session_id, extra={"session": self.session_id})
        return outputs

    def _attach(self, token: str, live: LiveSession) -> None:
        self._token, self._live = token, live
        live.connection = self
        self._tell_last_seq(lambda: live.session.last_seq)

    def _detach(self, live: LiveSession) -> None:
        """The session is not this connection's any more."""
        live.connection = self._live = None
        # The library's objects refer to each other and are freed when the collector comes by, which may be after
        # hundreds of sessions: whatever they hold of one would wait as long.
        seq = live.session.last_seq
        self._tell_last_seq(lambda: seq)

    def _tell_last_seq(self, last_seq: Callable[[], int]) -> None:
        protocol = self._websocket.protocol
        if isinstance(protocol, AnnouncingProtocol):
            protocol.last_seq = last_seq

    async def _next_outputs(self, live: LiveSession) -> Sequence[Output]:
        try:
            async with asyncio.timeout(self._tick_s):
                received = await self._inbox.get()
        except TimeoutError:
            return live.tick(time.monotonic())
        if self._is_revoked:
            return live.fail("key_removed", CloseCode.AUTH, KEY_REMOVED_MESSAGE)
        if self._is_stopping:
            retry_s = self._shared.retry_after_s
            return live.fail("restart", CloseCode.RESTART, RESTART_MESSAGE, retry_after_s=retry_s)
        if received is not None:
            return self._overflow(live) + await self._work(live, received)
        if self._is_superseded:
            self._let_go(live)
            message = "the session goes on over another connection"
            return refusal("superseded", CloseCode.SUPERSEDED, message, seq=max(0, live.session.last_seq))
        return [Close(CloseCode.NORMAL, "")]

    def _let_go(self, live: LiveSession) -> None:
        """Whoever waits for the session need not wait for this socket's goodbye."""
        self._detach(live)
        self._shared.sessions.park(self._token)
        self.finished.set()

    async def _work(self, live: LiveSession, received: Received) -> list[Output]:
        queued = self._inbox.audio_bytes

        def work() -> list[Output]:
            return live.receive(received, time.monotonic(), queued)

        return await self._shared.on_thread(work)

    async def _leave(self) -> None:
        """Work on what the broken connection left behind; a session that is not over waits for its client."""
        live, self._live = self._live, None
        if live is None:
            return
        try:
            while not live.session.closed and (received := self._inbox.take()) is not None:
                await self._work(live, received)
        except Exception:
            logger.exception("%s: internal error", self.session_id, extra={"session": self.session_id})
            live.fail("internal", CloseCode.INTERNAL, "the session broke")
        self._detach(live)
        if live.session.closed and (self._has_said_all or not live.session.is_complete):
            self._shared.sessions.drop(self._token)
        else:
            self._shared.sessions.park(self._token)

    def _overflow(self, live: LiveSession) -> list[Output]:
        if self._inbox.overflows == self._overflows_told:
            return []
        self._overflows_told = self._inbox.overflows
        return live.overflowed(self._overflows_told)

    async def _deliver(self, outputs: Sequence[Output]) -> bool:
        for output in outputs:
            if isinstance(output, Error) and output.fatal:
                self._shared.metrics.refused(output.code)
                told = {"session": self.session_id, "code": output.code}
                logger.warning("%s: ended with %s", self.session_id, output.code, extra=told)
        if ends(outputs):
            # What came before a close is worked on only for a session that can be taken up again.
            self._inbox.clear() if self._live is None or self._live.session.closed else self._inbox.end()
        timeout_s = _SUPERSEDED_TIMEOUT_S if self._is_superseded else self._shared.config.send_timeout_s
        self._is_sending = True
        try:
            is_open = await deliver(self._websocket, outputs, timeout_s)
        finally:
            self._is_sending = False
        # The client has answered the close, so it has read all that came before.
        self._has_said_all = not is_open and self._websocket.close_code == CloseCode.NORMAL
        return is_open
