"""Keeps a stream going over one connection after the other."""

import asyncio
import time
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from streaming.client.address import hints_address, resume_address, shown_address
from streaming.client.connecting import connected
from streaming.client.continuity import Continuity
from streaming.client.errors import ServerUnreachable, StreamLost, StreamRefused
from streaming.client.options import StreamOptions
from streaming.client.outgoing import Outgoing
from streaming.client.reconnecting import Backoff, Lost, plan_after, tried_for
from streaming.errors import WireError
from streaming.protocol import (
    PROTOCOL_VERSION,
    Begin,
    Configure,
    Error,
    KeepAlive,
    Metadata,
    ServerMessage,
    decode_server,
    encode,
)

# What is asked again of a session that takes the place of another, and the answer that nobody waits for.
WISH_ID = "again"
# A connection that held so long was one: the next loss is a new one.
_STEADY_S = 10.0
_CLOSE_S = 1.0


class Conversation:
    """The connections of one stream.

    Args:
        url: address of the server.
        options: what is asked of it.
        outgoing: what is to be sent.
        continuity: makes the messages of several sessions those of one.
        wishes: what each session is to be configured with, if anything.
        receive: takes the messages of the stream in their order.
    """

    def __init__(
        self,
        url: str,
        options: StreamOptions,
        outgoing: Outgoing,
        continuity: Continuity,
        wishes: Callable[[], Configure | None],
        receive: Callable[[ServerMessage], None],
    ) -> None:
        self._shown_url = shown_address(url)
        self._options = options
        self._outgoing = outgoing
        self._continuity = continuity
        self._wishes = wishes
        self._receive = receive
        self._address = hints_address(url, options)
        self._token: str | None = None
        self._session_start = 0
        self._has_begun = False
        self._begun_at_s = float("inf")
        self._keep_alive_s = options.keep_alive_s
        self._wake = asyncio.Event()
        self._factor: float | None = None
        self._backoff = Backoff()
        self._lost_at_s: float | None = None
        self._worked_when_lost = -1

    def wake(self) -> None:
        """There is more to send."""
        self._wake.set()

    async def run(self) -> None:
        """Converse until `Metadata`.

        Raises:
            ServerUnreachable: the server could not be reached at first.
            StreamRefused: the server ended the stream. Its error has been received before.
            StreamLost: the connection broke and could not be made again.
            WireError: the server broke the protocol.
            SettingError: the API key cannot be sent.
        """
        while (lost := await self._connection()) is not None:
            await self._pause(lost)

    async def _connection(self) -> Lost | None:
        """One connection, and how it was lost; None where the stream is over."""
        token, self._begun_at_s = self._token, float("inf")
        address = self._address if token is None else resume_address(self._address, token, self._continuity.last_seq)
        try:
            async with connected(address, self._options) as websocket:
                return await self._converse(websocket)
        except ServerUnreachable as unreachable:
            if not (self._has_begun and self._options.resume and unreachable.may_pass):
                raise
            return Lost(reason=str(unreachable))

    async def _converse(self, websocket: ClientConnection) -> Lost | None:
        sending: asyncio.Task[None] | None = None
        try:
            while True:
                message = decode_server(await websocket.recv(decode=True))
                if isinstance(message, Error) and message.fatal:
                    await _closed(websocket)
                    return Lost(message)
                if isinstance(message, Begin):
                    if not self._greet(message):
                        return Lost(reason="the audio that it wants again is gone")
                    sending = sending or asyncio.create_task(self._send(websocket))
                if message is not None:
                    self._pass_on(message)
                if isinstance(message, Metadata):
                    return None
        except ConnectionClosed as closed:
            code, reason = (None, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)
            return Lost(None, code, reason)
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def _pass_on(self, message: ServerMessage) -> None:
        placed = self._continuity.take(message)
        if placed is not None:
            self._receive(placed)

    def _greet(self, begin: Begin) -> bool:
        """Go on with the session that the server has, or with another in its place; whether that can be done."""
        if begin.protocol != PROTOCOL_VERSION:
            spoken = f"protocol {begin.protocol}, this client {PROTOCOL_VERSION}"
            raise WireError(f"{self._shown_url} speaks {spoken}: update the older of the two")
        if begin.resumed:
            position = self._session_start + (begin.audio_received_frames or 0)
            if begin.audio_received_frames is None or not self._outgoing.can_go_on_from(position):
                self._token = None
                return False
            self._options.notify("the connection is back; the server goes on where it was")
        else:
            position = self._session_start = self._begin_session()
        self._outgoing.restart(position, begin.limits, is_resumed=bool(begin.resumed))
        self._has_begun = True
        self._begun_at_s = time.monotonic()
        self._token = begin.resume_token or (self._token if begin.resumed else None)
        if begin.limits is not None:
            if not begin.resumed:
                self._factor = begin.limits.max_realtime_factor
            self._keep_alive_s = min(self._options.keep_alive_s, begin.limits.idle_timeout_s / 3)
        return True

    def _begin_session(self) -> int:
        """Make a session the first or the next of the stream; the position where its audio starts."""
        position = self._outgoing.rewound
        if self._has_begun:
            rate = self._options.format.sample_rate
            start_s = position // rate
            for message in self._continuity.begin_session(start_s, self._outgoing.worked / rate):
                self._receive(message)
            self._options.notify(f"the connection is back; the server has forgotten what was before {start_s} s")
        wish = self._wishes()
        if wish is not None:
            self._outgoing.put_first(wish, WISH_ID)
        return position

    async def _send(self, websocket: ClientConnection) -> None:
        """Send what is there, and a sign of life where nothing is."""
        sent_at_s = time.monotonic()
        try:
            while True:
                now_s = time.monotonic()
                self._wake.clear()
                frame = self._outgoing.next(now_s)
                if frame is None and now_s - sent_at_s >= self._keep_alive_s:
                    frame = encode(KeepAlive())
                if frame is not None:
                    await websocket.send(frame)
                    sent_at_s = time.monotonic()
                    continue
                idle_s = self._keep_alive_s - (now_s - sent_at_s)
                pause_s = self._outgoing.pause_s
                self._tell_of_pace(pause_s)
                await self._sleep(idle_s if pause_s is None else min(idle_s, pause_s))
        except ConnectionClosed:
            # The receiver knows why.
            return

    def _tell_of_pace(self, pause_s: float | None) -> None:
        """Say once why a recording goes no faster."""
        if pause_s is not None and self._factor is not None:
            self._options.notify(f"the server takes audio at most {self._factor:g} times as fast as it is spoken")
            self._factor = None

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _pause(self, lost: Lost) -> None:
        """Wait until it is time to connect again. Raises where it is no use, or was none for too long."""
        plan = plan_after(lost) if self._options.resume and (self._has_begun or lost.error is not None) else None
        if plan is None:
            raise self._failure(lost)
        now_s = time.monotonic()
        if self._outgoing.worked > self._worked_when_lost or now_s - self._begun_at_s >= _STEADY_S:
            self._backoff.reset()
            self._lost_at_s, self._worked_when_lost = now_s, self._outgoing.worked
        assert self._lost_at_s is not None
        delay_s = 0.0 if plan.at_once else max(plan.after_s, self._backoff.next_s())
        if plan.session_gone:
            self._token = None
        if now_s + delay_s - self._lost_at_s > self._options.give_up_s:
            tried = tried_for(now_s - self._lost_at_s, delay_s, self._options.give_up_s)
            raise self._failure(lost, f" ({tried})")
        if not plan.at_once:
            self._options.notify(f"{_cause(self._shown_url, lost)}; trying again in {delay_s:.1f} s")
        await asyncio.sleep(delay_s)

    def _failure(self, lost: Lost, tried: str = "") -> WireError:
        """What to raise; the server's own error is received first."""
        if lost.error is not None:
            self._receive(self._continuity.numbered(lost.error))
            return StreamRefused(f"{_cause(self._shown_url, lost)}{tried}", lost.error)
        # What could not be reached names its cure; of a connection that closed the server may know more.
        more = "" if lost.reason and lost.code is None else "; the server's log may say why"
        return StreamLost(f"the stream was not heard to its end{tried}: {_cause(self._shown_url, lost)}{more}")


async def _closed(websocket: ClientConnection) -> None:
    """Wait for the close that an error announces, but not for a server that does not read ours."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await websocket.wait_closed()
    except TimeoutError:
        websocket.transport.abort()


def _cause(url: str, lost: Lost) -> str:
    if lost.error is not None:
        return f"{url} ended the stream ({lost.error.close_code} {lost.error.code}): {lost.error.message}"
    if lost.code is not None:
        return f"{url} closed with code {lost.code} {lost.reason}".rstrip()
    return lost.reason or f"{url} closed without a word"
