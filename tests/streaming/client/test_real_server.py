"""The client and the server of this project, with a network between them that breaks."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from streaming.client import StreamOptions, stream_hints
from streaming.protocol import Begin, Metadata, ServerMessage, TermHint
from streaming.server import HintServer, ServerConfig
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm

Served = Mapping[str, ServedGlossary]
_ORDER = (900, 1700, 500, 1300, 900, 500)
PCM = synthetic_pcm([(0, 400), *((part, ms) for tone in _ORDER for part, ms in ((tone, 600), (0, 700)))])
SPOKEN = [(f"{tone} hertz tone", round(0.4 + 1.3 * index, 1)) for index, tone in enumerate(_ORDER)]
OPTIONS = StreamOptions(glossary="tones", ahead_s=2)


class _Network:
    """Passes bytes on to a port, and breaks its connections after the numbers of bytes given, one after the other."""

    def __init__(self, target: int, breaks_after: Sequence[int]) -> None:
        self.target = target
        self.connections = 0
        self._breaks_after = list(breaks_after)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until it is over or breaks."""
        self.connections += 1
        left = self._breaks_after.pop(0) if self._breaks_after else None
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        back = asyncio.create_task(_pass_on(far_reader, writer, None))
        await _pass_on(reader, far_writer, left)
        for broken in (writer, far_writer):
            broken.transport.abort()
        await asyncio.gather(back, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
    try:
        while chunk := await reader.read(4096):
            writer.write(chunk)
            await writer.drain()
            if left is not None and (left := left - len(chunk)) <= 0:
                return
    except OSError:
        pass


@asynccontextmanager
async def _network(target: int, breaks_after: Sequence[int]) -> AsyncIterator[tuple[_Network, str]]:
    network = _Network(target, breaks_after)
    async with await asyncio.start_server(network.carry, "127.0.0.1", 0) as listening:
        yield network, f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def _port(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def _chunks() -> list[bytes]:
    return [PCM[start : start + 640] for start in range(0, len(PCM), 640)]


def _spoken(messages: Sequence[ServerMessage]) -> list[tuple[str, float]]:
    return [(message.term, round(message.start, 1)) for message in messages if isinstance(message, TermHint)]


@pytest.mark.parametrize("breaks_after", [[40_000], [100_000, 30_000], [60_000, 500, 80_000]])
def test_a_network_that_breaks_loses_and_doubles_nothing(served: Served, breaks_after: list[int]) -> None:
    """Complaint 6, whole: the session is taken up by its token, and every message is that of an unbroken stream."""

    async def run() -> tuple[list[ServerMessage], int]:
        async with (
            asyncio.timeout(30),
            HintServer(replace(ServerConfig(), port=0), served, None) as server,
            _network(_port(server.url), breaks_after) as (network, url),
        ):
            return [message async for message in stream_hints(url, _chunks(), OPTIONS)], network.connections

    heard, connections = asyncio.run(run())
    assert connections > 1
    assert _spoken(heard) == SPOKEN
    begins = [message for message in heard if isinstance(message, Begin)]
    assert len({begin.session_id for begin in begins}) == 1
    assert isinstance(heard[-1], Metadata)
    assert heard[-1].duration == len(PCM) / 32_000


def test_a_server_that_is_started_anew_goes_on(served: Served) -> None:
    """The process that knew the session is gone: another one goes on with the clock, and no hint is lost or doubled."""

    async def run() -> list[ServerMessage]:
        config = replace(ServerConfig(), port=0)
        async with (
            asyncio.timeout(30),
            HintServer(config, served, None) as second,
            HintServer(config, served, None) as first,
            _network(_port(first.url), [150_000]) as (network, url),
        ):
            messages = stream_hints(url, _chunks(), OPTIONS)
            heard = []
            async for message in messages:
                heard.append(message)
                if _spoken(heard) == SPOKEN[:2]:
                    network.target = _port(second.url)
            return heard

    heard = asyncio.run(run())
    assert _spoken(heard) == SPOKEN
    assert len({begin.session_id for begin in heard if isinstance(begin, Begin)}) == 2
