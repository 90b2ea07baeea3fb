"""A websocket server with real sessions over tones, which fails as it is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from streaming.protocol import (
    Begin,
    CloseCode,
    CloseStream,
    KeepAlive,
    Limits,
    Marker,
    ServerMessage,
    decode_client,
    encode,
)
from streaming.session import Close, Output, ServedGlossary, Session, open_session, refusal

BYTES_PER_SECOND = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What befalls a connection once it has brought `after_s` seconds of audio (0: at its start).

    The server's last `unsent_s` seconds of messages before it never leave. `code` closes with that code and an error
    (None: the socket is cut); `forget` loses all sessions, as a restart does.
    """

    after_s: float
    code: int | None = None
    error: str = "restart"
    retry_after_s: float | None = None
    forget: bool = False
    unsent_s: float = 0.0


@dataclass
class _Kept:
    session: Session
    said: list[ServerMessage] = field(default_factory=list)
    received: int = 0
    texts: list[str] = field(default_factory=list)


class FaultyServer:
    """Serves one connection after the other; the first suffers the first fault, and so on.

    Attributes:
        url: where it listens.
        queries: of each connection, in order.
        sessions: all that were ever opened.
    """

    def __init__(self, served: Mapping[str, ServedGlossary], faults: Sequence[Fault], limits: Limits | None) -> None:
        self.url = ""
        self.queries: list[dict[str, list[str]]] = []
        self.sessions: list[_Kept] = []
        self._served = served
        self._faults = list(faults)
        self._limits = limits or Limits()
        self._kept: dict[str, _Kept] = {}

    async def answer(self, websocket: ServerConnection) -> None:
        """Serve one connection."""
        assert websocket.request is not None
        query = urlsplit(websocket.request.path).query
        asked = parse_qs(query)
        self.queries.append(asked)
        fault = self._faults.pop(0) if self._faults else None
        try:
            if fault is not None and fault.after_s == 0:
                await self._fail(websocket, fault)
                return
            token = asked.get("resume", [""])[0]
            if not token:
                token, kept, outputs = self._open(query)
            elif token in self._kept:
                kept = self._kept[token]
                outputs = self._replay(kept, int(asked["last_seq"][0]))
            else:
                await self._deliver(websocket, [*refusal("resume_expired", CloseCode.RESUME_EXPIRED, "gone")])
                return
            if await self._deliver(websocket, outputs):
                await self._serve(websocket, token, kept, fault)
        except ConnectionClosed:
            pass

    async def _serve(self, websocket: ServerConnection, token: str, kept: _Kept, fault: Fault | None) -> None:
        brought = 0
        async for frame in websocket:
            if isinstance(frame, bytes):
                brought += len(frame)
                kept.received += len(frame)
                outputs = kept.session.receive_audio(frame)
            else:
                kept.texts.append(frame)
                outputs = kept.session.receive_text(frame)
            kept.said += [output for output in outputs if not isinstance(output, Close)]
            brought_s = brought / BYTES_PER_SECOND
            if fault is None or brought_s < fault.after_s - fault.unsent_s:
                if not await self._deliver(websocket, outputs):
                    self._kept.pop(token, None)
                    return
            elif brought_s >= fault.after_s or _waits(frame):
                # Who waits for what never leaves brings no more audio: the fault is now.
                await self._fail(websocket, fault)
                return

    def _open(self, query: str) -> tuple[str, _Kept, list[Output]]:
        token = f"r_{len(self.sessions)}"
        session, outputs = open_session(query, self._served, session_id=f"s_{len(self.sessions)}", limits=self._limits)
        assert session is not None, outputs
        begin, *rest = outputs
        assert isinstance(begin, Begin)
        outputs = [replace(begin, resume_token=token, expires_in_s=60.0), *rest]
        kept = _Kept(session, [output for output in outputs if not isinstance(output, Close)])
        self.sessions.append(kept)
        self._kept[token] = kept
        return token, kept, outputs

    def _replay(self, kept: _Kept, last_seq: int) -> list[Output]:
        begin = kept.said[0]
        assert isinstance(begin, Begin)
        frames = kept.received // 2
        resumed = replace(
            begin,
            seq=kept.said[-1].seq,
            resumed=True,
            audio_received_s=frames / 16_000,
            audio_received_frames=frames,
        )
        return [*(message for message in kept.said if message.seq > last_seq), resumed]

    async def _fail(self, websocket: ServerConnection, fault: Fault) -> None:
        if fault.forget:
            self._kept.clear()
        if fault.code is None:
            websocket.transport.abort()
            return
        await self._deliver(
            websocket,
            [*refusal(fault.error, CloseCode(fault.code), "as told", retry_after_s=fault.retry_after_s)],
        )

    async def _deliver(self, websocket: ServerConnection, outputs: Sequence[Output]) -> bool:
        for output in outputs:
            if isinstance(output, Close):
                # Frames that nobody reads would keep the client's close from being seen.
                reading = asyncio.create_task(_read_on(websocket))
                await websocket.close(output.code, output.reason)
                await reading
                return False
            await websocket.send(encode(output))
        # A cut connection is noticed before more is read from it.
        await asyncio.sleep(0)
        return True


async def _read_on(websocket: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await websocket.recv()


@asynccontextmanager
async def faulty_server(
    served: Mapping[str, ServedGlossary], faults: Sequence[Fault] = (), limits: Limits | None = None
) -> AsyncIterator[FaultyServer]:
    """A server on a free port of the loopback."""
    server = FaultyServer(served, faults, limits)
    async with serve(server.answer, "127.0.0.1", 0, max_size=None) as listening:
        server.url = f"ws://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}"
        yield server


@contextmanager
def server_thread(served: Mapping[str, ServedGlossary], faults: Sequence[Fault] = ()) -> Iterator[str]:
    """The address of such a server in a thread of its own."""
    loop = asyncio.new_event_loop()
    addresses: list[str] = []
    ready, over = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with faulty_server(served, faults) as server:
            addresses.append(server.url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(10)
    try:
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def _waits(frame: bytes | str) -> bool:
    """Whether a client has nothing else to send; markers of its own flow control come amid audio."""
    if isinstance(frame, bytes):
        return False
    message = decode_client(frame)
    if isinstance(message, Marker):
        return not message.id.startswith("flow-")
    return isinstance(message, KeepAlive | CloseStream)
