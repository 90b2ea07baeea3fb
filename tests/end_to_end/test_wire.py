"""The same audio gives the same final hints, whichever way it comes.

Offline, in frames of any length, over broken connections, beside other speakers.
"""

import asyncio
from collections.abc import Sequence

import pytest
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.glossaries import open_glossary
from app.loaded_model import Model, for_many, load_folder, load_model, warm_up
from app.places import Places
from app.samples import recordings
from app.wiring import OpenGlossary, Sensitivity, catalogue_of, decision_of, make_pipeline
from streaming.audio import AudioFormat, float_to_pcm16
from streaming.encoding.batching import ComputeSlots
from streaming.events import Hint
from streaming.protocol import Begin, CloseStream, Marker, MarkerReached, ServerMessage, TermHint, decode_server, encode
from streaming.server import HintServer, ServerConfig

Said = tuple[str, int, int, float]
BYTES_PER_MS = 32


@pytest.fixture(scope="module")
def model() -> Model:
    """The bundled model."""
    return load_model(load_folder(None))


@pytest.fixture(scope="module")
def glossary(model: Model, tmp_path_factory: pytest.TempPathFactory) -> OpenGlossary:
    """The bundled glossary."""
    folder = tmp_path_factory.mktemp("places")
    return open_glossary(None, model.folder, Places(data=folder / "data", cache=folder / "cache"))


def _pcm(*numbers: int) -> bytes:
    return b"".join(
        float_to_pcm16(soundfile.read(recordings()[n].path, dtype="float32")[0]) + bytes(16_000) for n in numbers
    )


def _offline(model: Model, glossary: OpenGlossary, pcm: bytes) -> list[Said]:
    decision = decision_of(model.folder, Sensitivity("booth"), len(glossary.index.entries))
    pipeline = make_pipeline(model, glossary.index, decision, AudioFormat())
    events = pipeline.feed(pcm) + pipeline.finish()
    return [(e.term, e.start_sample, e.end_sample, round(e.score, 6)) for e in events if isinstance(e, Hint)]


def _said(messages: Sequence[ServerMessage]) -> list[Said]:
    return [(m.term, m.start_sample, m.end_sample, m.score) for m in messages if isinstance(m, TermHint)]


async def _read(client: ClientConnection, until: type[ServerMessage] | None = None) -> list[ServerMessage]:
    """Messages up to the first of a kind, or to the end of the connection."""
    messages: list[ServerMessage] = []
    while until is None or not messages or not isinstance(messages[-1], until):
        try:
            message = decode_server(await client.recv(decode=True))
        except ConnectionClosed:
            break
        assert message is not None
        messages.append(message)
    return messages


async def _whole(url: str, pcm: bytes, frame_ms: int) -> list[Said]:
    """One connection, frames of one length, as fast as they are taken."""
    async with connect(f"{url}?glossary=g") as client:
        reading = asyncio.create_task(_read(client))
        step = frame_ms * BYTES_PER_MS
        for start in range(0, len(pcm), step):
            await client.send(pcm[start : start + step])
        await client.send(encode(CloseStream()))
        return _said(await reading)


async def _with_breaks(url: str, pcm: bytes, breaks: Sequence[int]) -> list[Said]:
    """A connection that is cut after so many bytes, each time, and taken up again."""
    kept: list[ServerMessage] = []
    query, at = "glossary=g", 0
    for end in (*breaks, len(pcm)):
        async with connect(f"{url}?{query}") as client:
            greeting = await _read(client, Begin)
            begin = greeting[-1]
            assert isinstance(begin, Begin)
            if begin.resumed:
                kept += greeting[:-1]
                at = 2 * (begin.audio_received_frames or 0)
            else:
                kept += greeting
            token = begin.resume_token
            await client.send(pcm[at:end])
            if end < len(pcm):
                await client.send(encode(Marker(id="m")))
                kept += await _read(client, MarkerReached)
                # Sent, and cut before anything of it can be answered.
                await client.send(pcm[end : end + 40_001])
                client.transport.abort()
            else:
                await client.send(encode(CloseStream()))
                kept += await _read(client)
        query = f"resume={token}&last_seq={kept[-1].seq}"
    return _said(kept)


def test_every_way_gives_the_same_final_hints(model: Model, glossary: OpenGlossary) -> None:
    """Offline; in frames of 20 ms and of 1 s; with two breaks in mid-word; all beside another speaker's session."""
    pcm, other = _pcm(1, 2), _pcm(4)
    expected, of_other = _offline(model, glossary, pcm), _offline(model, glossary, other)
    assert len(expected) >= 4
    assert of_other
    # What is compiled at the first frame would make the sessions late, and a late session decides less often.
    warm_up(model)
    slots = ComputeSlots(2)
    served = catalogue_of(for_many(model, slots, lambda contexts: None), {"g": glossary})

    async def run() -> list[list[Said]]:
        async with HintServer(ServerConfig(port=0), served, None, slots=slots) as server:
            url = server.url
            # Two at a time: a machine that falls behind decides less often, as it should.
            beside = asyncio.create_task(_whole(url, other, 100))
            ways = [await _whole(url, pcm, 20), await _whole(url, pcm, 1000)]
            return [*ways, await _with_breaks(url, pcm, (150_001, 260_000)), await beside]

    *ways, beside = asyncio.run(run())
    assert [way == expected for way in ways] == [True, True, True]
    assert beside == of_other
