"""What a client hears from a server of ours, or from one that behaves as a test wants."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from websockets.asyncio.server import ServerConnection, serve

from streaming.client import StreamOptions, stream_hints
from streaming.protocol import AudioPart, Begin, GlossaryPart, ServerMessage, encode
from streaming.server import HintServer, ServerConfig
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm

Served = Mapping[str, ServedGlossary]
TONES = StreamOptions(glossary="tones")
PCM = synthetic_pcm([(0, 400), (900, 600), (0, 800), (1700, 600), (0, 800)])

BEGIN = encode(
    Begin(
        seq=0,
        protocol=1,
        session_id="s",
        glossary=GlossaryPart(id="tones", version="v1", terms=4),
        profile="booth",
        threshold=0.5,
        audio=AudioPart(encoding="linear16", sample_rate=16_000, channels=1),
    )
)


async def collect(url: str, chunks: Iterable[bytes], options: StreamOptions = TONES) -> list[ServerMessage]:
    """All messages of a stream, which has 20 s to end."""
    async with asyncio.timeout(20):
        return [message async for message in stream_hints(url, chunks, options)]


def stream(
    served: Served, chunks: Iterable[bytes], options: StreamOptions = TONES, config: ServerConfig | None = None
) -> list[ServerMessage]:
    """What a client hears from a server on a free port of the loopback."""

    async def run() -> list[ServerMessage]:
        async with HintServer(replace(config or ServerConfig(), port=0), served, None) as server:
            return await collect(server.url, chunks, options)

    return asyncio.run(run())


def stream_to(
    answer: Callable[[ServerConnection], Awaitable[None]],
    options: StreamOptions = TONES,
    chunks: Sequence[bytes] = (PCM,),
) -> list[ServerMessage]:
    """What a client hears from a server that behaves as `answer` does."""

    async def run() -> list[ServerMessage]:
        async with serve(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await collect(f"ws://127.0.0.1:{port}", chunks, options)

    return asyncio.run(run())
