"""Malformed frames for a live server, in every state that a connection can be in."""

import asyncio
import json
import random
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import Opcode

from streaming.protocol import CLIENT_MESSAGES

QUERY = "glossary=faults&target_lang=de"
_BAD_QUERIES = (
    "",
    "glossary=",
    "glossary=../../etc/passwd",
    "glossary=faults&sample_rate=1e9",
    "glossary=faults&channels=-1",
    "glossary=faults&glossary=faults",
    "glossary=faults&encoding=%00",
    "resume=r_x&last_seq=99999999999999999999",
    "resume=&last_seq=-5",
    "glossary=faults&format=term_map&chunk_ms=0",
    "glossary=" + "a" * 4000,
    "%ff%fe=%ff",
)
_WORDS = ("", "Configure", "Marker", "Finalize", "KeepAlive", "Feedback", "Nothing", "__class__", "掩码", "\u0000")


@dataclass(slots=True)
class FuzzResult:
    """What came of it."""

    frames: int = 0
    connections: int = 0
    typed: int = 0
    untyped: int = 0


async def fuzz(url: str, frames: int, seed: int = 1) -> FuzzResult:
    """Send at least so many malformed frames, over one connection after the other."""
    rng, result = random.Random(seed), FuzzResult()
    while result.frames < frames:
        result.connections += 1
        query = rng.choice(_BAD_QUERIES) if rng.random() < 0.15 else QUERY
        try:
            async with connect(
                f"{url}?{query}", compression=None, proxy=None, max_size=None, ping_interval=None
            ) as client:
                await _torment(client, rng, result)
        except (ConnectionClosed, InvalidHandshake, OSError):
            result.typed += 1
    return result


async def _torment(client: ClientConnection, rng: random.Random, result: FuzzResult) -> None:
    """One connection until either side has enough."""
    errors = 0

    async def read() -> int | None:
        nonlocal errors
        fatal = False
        try:
            while True:
                message = json.loads(await client.recv())
                errors += message["type"] == "Error"
                fatal = fatal or (message["type"] == "Error" and message["fatal"])
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            return None if fatal or code in (None, 1000) else code

    reading = asyncio.create_task(read())
    # States: fresh, in speech, after Finalize, after CloseStream.
    state = rng.randrange(4)
    try:
        if state:
            await client.send(rng.randbytes(6400))
        if state >= 2:
            await client.send('{"type":"Finalize"}')
        if state == 3:
            await client.send('{"type":"CloseStream"}')
        for _ in range(rng.randrange(1, 60)):
            await _send_one(client, rng)
            result.frames += 1
        if rng.random() < 0.1:
            client.transport.abort()
        else:
            await client.send('{"type":"CloseStream"}')
    except ConnectionClosed:
        pass
    ended = await asyncio.wait_for(reading, 30)
    result.typed += errors
    result.untyped += ended is not None


async def _send_one(client: ClientConnection, rng: random.Random) -> None:
    kind = rng.randrange(8)
    if kind == 0:
        await client.send(rng.randbytes(rng.choice((0, 1, 3, 31, 641))))
    elif kind == 1:
        await client.send(rng.randbytes(rng.randrange(200)).decode("latin-1"))
    elif kind == 2:
        await client.send(json.dumps({"type": rng.choice(_WORDS), rng.choice(_WORDS): rng.random()}))
    elif kind == 3:
        await client.send(json.dumps(_twisted(rng)))
    elif kind == 4:
        await client.send("[" * rng.choice((10, 5000)))
    elif kind == 5:
        await client.send('{"type":"Configure","threshold":' + rng.choice(("NaN", "1e999", '"0.5"', "-1", "{}")) + "}")
    elif kind == 6:
        await client.send('{"type":"Marker","id":"\\ud800"}')
    elif rng.random() < 0.02:
        # Bytes that break the websocket protocol itself; the server closes with 1002 or 1007.
        client.transport.write(bytes([0x80 | Opcode.TEXT, 0x82, 0, 0, 0, 0, 0xC3, 0x28]))
    else:
        await client.send(
            json.dumps({"type": "Feedback", "hint_id": rng.choice(_WORDS), "verdict": rng.choice(_WORDS)})
        )


def _twisted(rng: random.Random) -> dict[str, object]:
    """A real message with a value of another type."""
    name = rng.choice(list(CLIENT_MESSAGES))
    values: list[object] = [None, True, -1, 10**30, "", [], {}, [[]], 1e300]
    fields = ("request_id", "profile", "threshold", "glossary", "version", "mute_entries", "id", "verdict", "note")
    return {"type": name, **{rng.choice(fields): rng.choice(values) for _ in range(rng.randrange(3))}}
