"""The clients of `soak.py`, a process of their own: python soak_clients.py URL GLOSSARY SECONDS SESSIONS."""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

# Run as a file, this folder comes first on the path, and its modules would stand for the packages of their names.
HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != HERE]

import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from app.samples import recordings
from streaming.protocol import decode_server, encode
from streaming.testing import noise_pcm
from streaming.wire.client_messages import ClientMessage, CloseStream, Configure, Finalize, KeepAlive, Marker
from streaming.wire.messages import Begin, Error, Lag, MarkerReached, Metadata, ServerMessage, TermHint

_SECOND = 32_000
_FRAME = _SECOND // 10
_STEP_S = 2
_LONGEST_S = 90


Said = TypeVar("Said", bound=ServerMessage)


@dataclass(slots=True)
class Tally:
    """What all clients have seen; `drops` counts windows that were left out."""

    sessions: Counter[str] = field(default_factory=Counter)
    hints: int = 0
    drops: int = 0
    resumed: int = 0
    audio_s: float = 0.0
    closed: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def take(self, message: ServerMessage) -> None:
        """Count a message."""
        self.hints += isinstance(message, TermHint) and message.is_final
        if isinstance(message, Error):
            self.closed[message.code] += 1


class Client:
    """A client that knows what to expect; one session."""

    def __init__(self, url: str, tally: Tally, chance: random.Random) -> None:
        self._url = url
        self._tally = tally
        self._chance = chance
        self._drops = 0
        self._last_seq = -1
        self._begin: Begin | None = None

    async def stream(self, audio: Callable[[int], bytes], seconds: int) -> None:
        """Send so much audio, two seconds at a time; break off or say goodbye in the end."""
        at = 0
        while at < seconds:
            async with self._connected() as socket:
                begin = await self._until(socket, Begin)
                if begin.resumed:
                    self._tally.resumed += 1
                    at = int(begin.audio_received_s or 0)
                self._begin = begin
                at = await self._talk(socket, audio, at, seconds)
                if at < seconds:
                    socket.transport.abort()
                    continue
                if self._chance.random() < 0.1:
                    socket.transport.abort()
                    break
                await socket.send(encode(CloseStream()))
                await self._until(socket, Metadata)
        self._tally.audio_s += seconds
        self._tally.drops += self._drops

    async def look_in(self) -> None:
        """Come and go: at once, after the greeting, or with an address that is refused."""
        kind = self._chance.choice(["at once", "greeted", "refused"])
        query = "&sample_rate=1" if kind == "refused" else ""
        async with connect(f"{self._url}{query}", compression=None) as socket:
            if kind == "at once":
                socket.transport.abort()
            elif kind == "greeted":
                await self._until(socket, Begin)
            else:
                with contextlib.suppress(ConnectionClosed):
                    await self._until(socket, Metadata)

    def _connected(self) -> connect:
        begin = self._begin
        resume = "" if begin is None else f"&resume={begin.resume_token}&last_seq={self._last_seq}"
        return connect(f"{self._url}{resume}", compression=None)

    async def _talk(self, socket: ClientConnection, audio: Callable[[int], bytes], at: int, seconds: int) -> int:
        """Send from second `at` on; the second that was reached, all of them unless the connection is to break."""
        while at < seconds:
            chunk = audio(at)
            for start in range(0, len(chunk), _FRAME):
                await socket.send(chunk[start : start + _FRAME])
            if self._chance.random() < 0.1:
                await socket.send(encode(self._aside()))
            await socket.send(encode(Marker(id=f"m{at}")))
            reached = await self._until(socket, MarkerReached)
            while reached.id != f"m{at}":
                reached = await self._until(socket, MarkerReached)
            at += _STEP_S
            can_resume = self._begin is not None and self._begin.resume_token is not None
            if can_resume and at < seconds and self._chance.random() < 0.01:
                return at
        return at

    def _aside(self) -> ClientMessage:
        choices: tuple[ClientMessage, ...] = (
            KeepAlive(),
            Finalize(),
            Configure(profile="mt"),
            Configure(profile="booth"),
        )
        return self._chance.choice(choices)

    async def _until(self, socket: ClientConnection, kind: type[Said]) -> Said:
        while True:
            message = decode_server(await asyncio.wait_for(socket.recv(decode=True), 120))
            if message is None:
                continue
            self._last_seq = max(self._last_seq, message.seq)
            self._tally.take(message)
            if isinstance(message, Lag):
                self._drops = message.dropped_windows
            if isinstance(message, kind):
                return message


def _sounds() -> Mapping[str, bytes]:
    """What the clients send, s16le at 16 kHz; it begins again where it ends."""
    speech = [soundfile.read(recording.path, dtype="int16")[0].tobytes() for recording in recordings()]
    return {
        "speech": b"".join(part + bytes(_SECOND) for part in speech),
        "silence": bytes(_SECOND * 20),
        "noise": noise_pcm(20_000, seed=7, amplitude=0.05),
    }


def _from(sound: bytes, offset: int) -> Callable[[int], bytes]:
    """The audio of two seconds from a second on, of a sound that begins at `offset` seconds and goes round."""

    def audio(at: int) -> bytes:
        start = (offset + at) * _SECOND % len(sound)
        wanted = _STEP_S * _SECOND
        return (sound[start : start + wanted] + sound)[:wanted]

    return audio


async def _work(url: str, tally: Tally, until: float, chance: random.Random, sounds: Mapping[str, bytes]) -> None:
    """One session after the other until the time is over."""
    while time.monotonic() < until:
        kind = chance.choices(["speech", "silence", "noise", "look in"], [5, 1, 1, 2])[0]
        tally.sessions[kind] += 1
        client = Client(url, tally, chance)
        try:
            if kind == "look in":
                await client.look_in()
            else:
                seconds = chance.randrange(_STEP_S, _LONGEST_S, _STEP_S)
                await client.stream(_from(sounds[kind], chance.randrange(0, 40)), seconds)
        except (WebSocketException, OSError, TimeoutError) as error:
            tally.errors.append(f"{kind}: {type(error).__name__}: {error}")
            await asyncio.sleep(0.5)


async def _drive(url: str, glossary: str, seconds: float, sessions: int) -> Tally:
    tally, sounds = Tally(), _sounds()
    until = time.monotonic() + seconds
    address = f"{url}?glossary={glossary}&profile=mt&abstain_events=true"
    await asyncio.gather(*(_work(address, tally, until, random.Random(seed), sounds) for seed in range(sessions)))
    return tally


def main() -> None:
    """Drive the server and print one line of JSON."""
    url, glossary, seconds, sessions = sys.argv[1:]
    tally = asyncio.run(_drive(url, glossary, float(seconds), int(sessions)))
    print(
        json.dumps(
            {
                "sessions": dict(tally.sessions),
                "audio_hours": round(tally.audio_s / 3600, 2),
                "times_real_time": round(tally.audio_s / float(seconds), 1),
                "hints": tally.hints,
                "drops": tally.drops,
                "resumed": tally.resumed,
                "errors_told": dict(tally.closed),
                "errors": tally.errors[:20],
            }
        )
    )


if __name__ == "__main__":
    main()
