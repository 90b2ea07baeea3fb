"""A glossary is replaced every few seconds while sessions listen: is a hint lost, doubled, or does memory grow?

    python tests/benchmarks/swap.py                                  # prints the table; needs no data
    python tests/benchmarks/swap.py --loads real:6 remembered:20 --seconds 60 --every 2 --json

Every load is streamed twice in real time through a real server and its client: without a swap, then with a new version
published every `--every` seconds, each with its rows in another order, one entry added, one removed and one changed.
`real:6` is six sessions that all run the encoder; `remembered:20` is twenty that are given the encoder's outputs for
each context from a pass before (all hear the same speech), for machines on which twenty encoders do not fit. All else
is the same in both: detector, alignment, competition, verifier, decision, websocket, publishing, loading and hand-over.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

# Run as a file, this folder comes first on the path, and a module in it would stand for the package of its name.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from app.glossaries import open_glossary
from app.loaded_model import Model, load_folder, load_model
from app.places import Places
from app.samples import recordings
from app.watched import PublishedGlossary
from app.wiring import OpenGlossary, Sensitivity, decision_of, make_pipeline, serve_glossary
from index_builder.publish import publish, version_name
from index_builder.report import IndexReport
from streaming.audio import AudioFormat
from streaming.client import StreamOptions, stream_hints
from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.whole_contexts import WholeContexts
from streaming.errors import TermCueError
from streaming.events import Hint
from streaming.pipeline import FrameEncoder
from streaming.protocol import Error, GlossaryUpdated, TermHint
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.session import ServedGlossary
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.catalogue_watch import CatalogueWatch
from streaming.sources import FileSource, RealTimeSource
from streaming.term_index import TermIndex
from streaming.testing import ListSource

GLOSSARY = "talks"
FORMAT = AudioFormat()
_CHUNK_BYTES = 3200
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class RememberingEncoder:
    """Encodes each context once, and remembers it by its samples."""

    def __init__(self, encoder: FrameEncoder) -> None:
        self._encoder = encoder
        self._known: dict[bytes, EncodedContext] = {}

    def encode(self, context: NDArray[np.float32]) -> EncodedContext:
        """What the encoder gives, now or before."""
        key = blake2b(context.tobytes(), digest_size=16).digest()
        if key not in self._known:
            self._known[key] = self._encoder.encode(context)
        return self._known[key]

    def open(self) -> WholeContexts:
        """The encoder of a stream, which hears each context by itself."""
        return WholeContexts(self)


class Versions:
    """Versions of one glossary, each with its rows turned, one entry left out and one note changed."""

    def __init__(self, index: TermIndex, unsaid: Sequence[int]) -> None:
        self._index, self._unsaid = index, unsaid

    def index(self, number: int) -> TermIndex:
        """Version `number`."""
        base = self._index
        left_out = self._unsaid[number % len(self._unsaid)]
        changed = self._unsaid[(number + 1) % len(self._unsaid)]
        order = [(number + i) % len(base.entries) for i in range(len(base.entries))]
        order = [entry for entry in order if entry != left_out]
        forms_of: dict[int, list[int]] = {}
        for at, form in enumerate(base.forms):
            forms_of.setdefault(form.entry_index, []).append(at)
        edited = {changed: replace(base.entries[changed], note=f"version {number}")}
        entries = [edited.get(entry, base.entries[entry]) for entry in order]
        chosen = [form for entry in order for form in forms_of[entry]]
        place = {entry: at for at, entry in enumerate(order)}
        forms = [replace(base.forms[f], entry_index=place[base.forms[f].entry_index]) for f in chosen]
        version = version_name(_FIRST + timedelta(seconds=number), f"{number:032x}")
        return TermIndex(entries, forms, base.vectors_of(chosen), base.background[chosen], base.encoder_id, version)

    def publish(self, data_dir: Path, number: int) -> None:
        """Publish version `number`."""
        index = self.index(number)
        report = IndexReport(GLOSSARY, index.version, 0, len(index.entries), 0, len(index.forms), (), (), 0.0)
        publish(data_dir, GLOSSARY, index, report)


@dataclass(slots=True)
class Heard:
    """What one session was told."""

    hints: list[TermHint] = field(default_factory=list)
    updates: int = 0
    errors: list[str] = field(default_factory=list)
    wrong_versions: int = 0
    version: str = ""

    @property
    def spoken(self) -> Counter[tuple[str, int, int]]:
        """The occurrences that were hinted: entry and span."""
        return Counter((hint.entry_id, hint.start_sample, hint.end_sample) for hint in self.hints)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; memory in MB, read once a second."""

    load: str
    sessions: int
    seconds: float
    versions: int
    updates: int
    hints: int
    lost: int
    doubled: int
    wrong_versions: int
    errors: int
    memory_first_half: float
    memory_second_half: float
    indexes_alive: int


class Bench:
    """One server's worth of model, audio and versions."""

    def __init__(self, model: Model, versions: Versions, audio: bytes) -> None:
        self._model, self._versions, self._audio = model, versions, audio
        self._alive: weakref.WeakSet[TermIndex] = weakref.WeakSet()
        self.memory: list[float] = []
        self.published = 0

    @property
    def indexes_alive(self) -> int:
        """How many versions are still in memory."""
        return len(self._alive)

    async def run(self, sessions: int, every: float | None) -> list[Heard]:
        """Stream to that many sessions, with a new version every so many seconds."""
        self.memory, self.published = [], 1
        with tempfile.TemporaryDirectory() as folder:
            data_dir = Path(folder)
            self._versions.publish(data_dir, 0)
            source = PublishedGlossary(GLOSSARY, data_dir, self._model.folder.encoder_id, self._serve)
            catalogue = Catalogue({GLOSSARY: source.load()})
            config = ServerConfig(port=0, max_sessions=sessions, threads=2, connection=ConnectionConfig())
            with CatalogueWatch(catalogue, lambda: {GLOSSARY: source}, {GLOSSARY: source.stamp()}):
                async with HintServer(config, catalogue, None) as server:
                    beside = [asyncio.create_task(self._watch_memory())]
                    if every is not None:
                        beside.append(asyncio.create_task(self._publish(data_dir, every)))
                    heard = await asyncio.gather(*(self._listen(server.url) for _ in range(sessions)))
                    for task in beside:
                        task.cancel()
                    await asyncio.gather(*beside, return_exceptions=True)
        return heard

    def _serve(self, glossary: OpenGlossary) -> ServedGlossary:
        self._alive.add(glossary.index)
        return serve_glossary(self._model, glossary)

    async def _publish(self, data_dir: Path, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await asyncio.to_thread(self._versions.publish, data_dir, self.published)
            self.published += 1

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(1)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    async def _listen(self, url: str) -> Heard:
        heard = Heard()
        source = RealTimeSource(ListSource(FORMAT, list(_chunks(self._audio))))
        options = StreamOptions(glossary=GLOSSARY, format=FORMAT, vad_events=False, target_lang=None)
        try:
            async for message in stream_hints(url, source.chunks(), options):
                if isinstance(message, TermHint):
                    heard.hints.append(message)
                    heard.wrong_versions += bool(heard.version) and message.glossary_version != heard.version
                elif isinstance(message, GlossaryUpdated):
                    heard.updates += 1
                    heard.version = message.to_version
                elif isinstance(message, Error):
                    heard.errors.append(message.message)
        except TermCueError as error:
            heard.errors.append(str(error))
        return heard


def measure(bench: Bench, load: str, every: float) -> Row:
    """One load: streamed without swaps, then with them."""
    name, _, number = load.partition(":")
    if name not in ("real", "remembered") or not number.isdigit():
        raise SystemExit(f"{load!r} is no load: give real:N or remembered:N")
    sessions = int(number)
    still = asyncio.run(bench.run(sessions, None))
    started = time.monotonic()
    moved = asyncio.run(bench.run(sessions, every))
    took = time.monotonic() - started
    half = len(bench.memory) // 2
    for text in sorted({error for each in (*still, *moved) for error in each.errors}):
        sys.stderr.write(f"error: {text}\n")
    return Row(
        load=load,
        sessions=sessions,
        seconds=round(took, 1),
        versions=bench.published,
        updates=sum(each.updates for each in moved),
        hints=sum(len(each.hints) for each in moved),
        lost=sum((a.spoken - b.spoken).total() for a, b in zip(still, moved, strict=True)),
        doubled=sum((b.spoken - a.spoken).total() for a, b in zip(still, moved, strict=True)),
        wrong_versions=sum(each.wrong_versions for each in moved),
        errors=sum(len(each.errors) for each in (*still, *moved)),
        memory_first_half=round(float(np.mean(bench.memory[:half] or [0])), 1),
        memory_second_half=round(float(np.mean(bench.memory[half:] or [0])), 1),
        indexes_alive=bench.indexes_alive,
    )


def speech(seconds: float) -> bytes:
    """The bundled recordings, parted by silence, over and over."""
    once = b"".join(b"".join(FileSource(each.path).chunks()) + bytes(16_000) for each in recordings())
    wanted = int(seconds * FORMAT.sample_rate) * 2
    return (once * (wanted // len(once) + 1))[:wanted]


def _hints(model: Model, index: TermIndex, audio: bytes) -> list[Hint]:
    """The hints of one stream, straight through the pipeline."""
    decision = decision_of(model.folder, Sensitivity("booth"), len(index.entries))
    pipeline = make_pipeline(model, index, decision, FORMAT)
    events = [event for chunk in _chunks(audio) for event in pipeline.feed(chunk)] + pipeline.finish()
    return [event for event in events if isinstance(event, Hint)]


def _chunks(audio: bytes) -> Iterator[bytes]:
    for start in range(0, len(audio), _CHUNK_BYTES):
        yield audio[start : start + _CHUNK_BYTES]


def main() -> None:
    """Measure every load and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", nargs="+", default=["remembered:20"], help="real:N and remembered:N")
    parser.add_argument("--seconds", type=float, default=60, help="speech in each session")
    parser.add_argument("--every", type=float, default=2, help="seconds between two versions")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    folder = load_folder(None)
    index = open_glossary(None, folder, Places.of(None)).index
    model = load_model(folder)
    audio = speech(given.seconds)
    said = {hint.entry_id for hint in _hints(model, index, audio)}
    unsaid = [number for number, entry in enumerate(index.entries) if entry.entry_id not in said]
    if not given.json:
        print(" ".join(f"{name:>12}" for name in Row.__dataclass_fields__))
    for load in given.loads:
        # Only the encoder is remembered; a Model is what streams share.
        frames = RememberingEncoder(model.frames) if load.startswith("remembered") else model.frames
        shared = replace(model, frames=frames)
        if load.startswith("remembered"):
            _hints(shared, index, audio)
        row = measure(Bench(shared, Versions(index, unsaid), audio), load, given.every)
        print(json.dumps(asdict(row)) if given.json else " ".join(f"{v:>12}" for v in asdict(row).values()), flush=True)


if __name__ == "__main__":
    main()
