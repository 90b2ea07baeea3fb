"""A running server takes new versions over while a client streams, and hears layers, with the bundled model."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model
from app.places import Places
from app.samples import recordings
from app.watched import PublishedGlossary
from app.wiring import OpenGlossary, catalogue_of, serve_glossary
from index_builder.publish import publish, roll_back
from index_builder.report import IndexReport
from streaming.client import StreamOptions, stream_hints
from streaming.protocol import Begin, GlossaryUpdated, ServerMessage, TermHint
from streaming.server import HintServer, ServerConfig
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.catalogue_watch import CatalogueWatch
from streaming.sources import FileSource
from streaming.term_index import TermIndex

FIRST, SECOND = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2))
OPTIONS = StreamOptions(glossary="talks", target_lang="de", vad_events=False)


@pytest.fixture(scope="module")
def model() -> Model:
    """The bundled model, ready to run."""
    return load_model(load_folder(None))


@pytest.fixture
def index(model: Model, tmp_path: Path) -> TermIndex:
    """The index of the bundled glossary."""
    return open_glossary(None, model.folder, Places(tmp_path / "data", tmp_path / "cache")).index


def _renamed(index: TermIndex, version: str, turned: bool = False) -> TermIndex:
    """The same entries as another version, in another order if asked."""
    order = list(range(len(index.entries)))[:: -1 if turned else 1]
    chosen = [number for entry in order for number, form in enumerate(index.forms) if form.entry_index == entry]
    forms = [replace(index.forms[n], entry_index=order.index(index.forms[n].entry_index)) for n in chosen]
    entries = [index.entries[entry] for entry in order]
    return TermIndex(entries, forms, index.vectors_of(chosen), index.background[chosen], index.encoder_id, version)


def _publish(data_dir: Path, index: TermIndex) -> None:
    report = IndexReport("talks", index.version, 0, len(index.entries), 0, len(index.forms), (), (), 0.0)
    publish(data_dir, "talks", index, report)


def _stream(
    catalogue: Catalogue, options: StreamOptions, chunks: Iterator[bytes], heard: list[ServerMessage] | None = None
) -> list[ServerMessage]:
    """All messages; into `heard` as they come, where it is given."""
    messages = [] if heard is None else heard

    async def run() -> None:
        async with HintServer(ServerConfig(port=0), catalogue, None) as server:
            async for message in stream_hints(server.url, chunks, options):
                messages.append(message)

    asyncio.run(run())
    return messages


def _speech() -> Iterator[bytes]:
    for each in recordings()[:3]:
        yield from FileSource(each.path).chunks()


def _spoken(messages: list[ServerMessage]) -> list[tuple[str, float, float]]:
    return [(m.entry_id, m.start, m.emitted) for m in messages if isinstance(m, TermHint)]


def test_versions_published_and_rolled_back_while_a_client_streams(
    model: Model, index: TermIndex, tmp_path: Path
) -> None:
    """Published, taken over, rolled back: the hints are those of a stream without it, and each cites its version."""
    data = tmp_path / "published"
    _publish(data, _renamed(index, FIRST))
    source = PublishedGlossary("talks", data, index.encoder_id, lambda each: serve_glossary(model, each))
    catalogue = Catalogue({"talks": source.load()})
    watch = CatalogueWatch(catalogue, lambda: {"talks": source}, {"talks": source.stamp()})
    still = _stream(catalogue, OPTIONS, _speech())

    heard: list[ServerMessage] = []

    def disturbed() -> Iterator[bytes]:
        for number, chunk in enumerate(_speech()):
            if number == 20:
                _publish(data, _renamed(index, SECOND, turned=True))
            if number == 60:
                # A slow machine may not have come to a hop since.
                until = time.monotonic() + 60
                while not any(isinstance(m, GlossaryUpdated) for m in heard) and time.monotonic() < until:
                    time.sleep(0.01)
                roll_back(data, "talks", index.encoder_id, FIRST)
            if number in (20, 60):
                assert watch.look() == ["talks"]
            yield chunk

    moved = _stream(catalogue, OPTIONS, disturbed(), heard)
    assert len(_spoken(still)) > 3
    assert _spoken(moved) == _spoken(still)
    updates = [
        (m.from_version, m.to_version, m.added + m.removed + m.changed) for m in moved if isinstance(m, GlossaryUpdated)
    ]
    assert updates == [(FIRST, SECOND, 0), (SECOND, FIRST, 0)]
    version = FIRST
    for message in moved:
        if isinstance(message, GlossaryUpdated):
            version = message.to_version
        elif isinstance(message, TermHint):
            assert message.glossary_version == version


def test_personal_glossary_over_a_shared_one(model: Model, index: TermIndex) -> None:
    """The same term in both gives one hint, the personal one; what only the shared one has is heard too."""
    shared = OpenGlossary("shared", _renamed(index, "s1"))
    heard = _stream(catalogue_of(model, {"shared": shared}), replace(OPTIONS, glossary="shared"), _speech())
    first = next(m for m in heard if isinstance(m, TermHint))
    (at,) = [n for n, entry in enumerate(index.entries) if entry.entry_id == first.entry_id]
    chosen = [n for n, form in enumerate(index.forms) if form.entry_index == at]
    personal = TermIndex(
        [replace(index.entries[at], entry_id="mine:1", translations={"de": "meins"})],
        [replace(index.forms[n], entry_index=0) for n in chosen],
        index.vectors_of(chosen),
        index.background[chosen],
        index.encoder_id,
        "m1",
    )
    catalogue = catalogue_of(model, {"shared": shared, "mine": OpenGlossary("mine", personal)})
    layered = _stream(catalogue, replace(OPTIONS, glossary="mine,shared"), _speech())
    begin = layered[0]
    assert isinstance(begin, Begin)
    assert (begin.glossary.id, begin.glossary.version, begin.glossary.terms) == (
        "mine,shared",
        "m1,s1",
        len(index.entries),
    )
    expected = [("mine:1" if entry_id == first.entry_id else entry_id, *rest) for entry_id, *rest in _spoken(heard)]
    assert _spoken(layered) == [tuple(each) for each in expected]
    told = {m.glossary_version: m.translation for m in layered if isinstance(m, TermHint) and m.entry_id == "mine:1"}
    assert told == {"m1": "meins"}
    assert {m.glossary_version for m in layered if isinstance(m, TermHint)} == {"m1", "s1"}
