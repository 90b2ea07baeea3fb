"""What is left of sessions that are over: nothing, whether or not the garbage collector has come by."""

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect

from streaming.server import HintServer
from streaming.session import HintPipeline
from tests.streaming.server.serving import (
    QUERY,
    SPEECH,
    Served,
    Wrapped,
    greeted,
    limited,
    read_to_close,
    serve,
    with_pipeline,
)

ENDINGS = ["goodbye", "cut", "taken up", "frame too big"]


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _speak(server: HintServer, ending: str) -> None:
    async with connect(f"{server.url}?{QUERY}") as client:
        begin = await greeted(client)
        await client.send(SPEECH)
        if ending == "cut":
            client.transport.abort()
            return
        if ending == "frame too big":
            await client.send(bytes(2_000_000))
            await read_to_close(client)
            return
        if ending == "taken up":
            async with connect(f"{server.url}?resume={begin.resume_token}&last_seq=0") as again:
                await again.send(json.dumps({"type": "CloseStream"}))
                await read_to_close(again)
            return
        await client.send(json.dumps({"type": "CloseStream"}))
        await read_to_close(client)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_session_that_is_over_leaves_no_memory_behind(served: Served, ending: str) -> None:
    """Its audio and its messages go at once: the collector comes by after hundreds of sessions."""
    opened: list[weakref.ref[HintPipeline]] = []

    def noted(inner: HintPipeline) -> HintPipeline:
        pipeline = Wrapped(inner)
        opened.append(weakref.ref(pipeline))
        return pipeline

    async def scenario(server: HintServer) -> None:
        with _without_collector():
            for _ in range(3):
                await _speak(server, ending)
            for _ in range(200):
                if not any(each() for each in opened):
                    break
                await asyncio.sleep(0.05)
            # Whoever looks at the sessions forgets those that nobody has taken up in time.
            server.metrics.text()
            await asyncio.sleep(0.1)
            assert [each() for each in opened] == [None] * 3

    serve(with_pipeline(served, noted), scenario, limited(resume_window_s=0.2))
