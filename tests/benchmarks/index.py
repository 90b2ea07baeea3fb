"""The index of glossaries of four sizes: build, rebuild after an edit, size, load, search of a hop, recall.

    python tests/benchmarks/index.py [--sizes 1000,10000,100000] [--drawn 1000000] [--work DIR] [--json]

Terms are one to three random words of the model's lexicon and go the whole way: reading, pronouncer, text tower,
background statistics, search, folder. Those of `--drawn` have vectors drawn from the tower's distribution instead (a
real vector and a third of the difference of two others), so that a million take no quarter of an hour; their build is
that of forms, search and folder. The edit changes one term in a hundred. A hop asks for the ten forms nearest to each
of 64 spans, which are of the bundled recordings. Each index is loaded and searched in a process of its own, on one
thread; the peak of its memory counts the mapped files. Times are of the wall, and of the processor beside them: on a
busy machine they differ.
"""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

import faiss
import numpy as np
import soundfile
from numpy.typing import NDArray

from app.samples import recordings
from index_builder.build import build_index
from index_builder.collection import without_collection
from index_builder.embed import embed_texts
from index_builder.exact_neighbours import exact_neighbours
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.index_tuning import HOP_QUERIES, NEIGHBOURS, tuned_search
from index_builder.vector_cache import form_cache
from streaming.encoder import OnnxSpanEncoder, OnnxTextEncoder
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.entries import Entry, Form, make_form
from streaming.grapheme import OnnxPronouncer
from streaming.index.background import background_scores
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.spans import FRAME_SAMPLES, SpanGrid, pool_spans
from streaming.symbols import PHONEMES
from streaming.term_index import TermIndex
from streaming.words.lexicon import LEXICON_FILE, Lexicon, unpack_lexicon

_PROPOSAL_FRAMES = 32
_HOP_FRAMES = 16
_BASIS = 50_000


@dataclass(frozen=True, slots=True)
class Row:
    """One size. Seconds of the wall, then of the processor; None where a size has no such thing."""

    terms: int
    forms: int
    drawn: bool
    search: str
    build: tuple[float, float]
    embed: tuple[float, float] | None
    rebuild: tuple[float, float] | None
    folder_mb: float
    load: tuple[float, float]
    hop_ms: tuple[float, float]
    recall: float
    promised_recall: float
    peak_mb: float


class Stopwatch:
    """Wall and processor seconds of a block, to be read when it has ended."""

    def __init__(self) -> None:
        self.seconds = (0.0, 0.0)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Time the block."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds = (time.perf_counter() - wall, time.process_time() - processor)


class Maker:
    """Makes glossaries and their indexes with the bundled model."""

    def __init__(self, work: Path) -> None:
        self.folder = ModelFolder.load(BUNDLED)
        self.work = work
        self._lexicon: Lexicon = unpack_lexicon(self.folder.contents[LEXICON_FILE])
        self._words = [word for word in self._lexicon.words if len(word) > 2]
        self._encoder = OnnxTextEncoder(self.folder)

    def terms(self, n: int, seed: int) -> list[str]:
        """That many distinct terms."""
        rng, found = np.random.default_rng(seed), dict[str, None]()
        while len(found) < n:
            words = rng.integers(0, len(self._words), rng.choice([1, 2, 3], p=[0.15, 0.55, 0.3]))
            found.setdefault(" ".join(self._words[word] for word in words))
        return list(found)

    @without_collection()
    def real(self, terms: list[str], folder: Path) -> TermIndex:
        """The index of a glossary file with these terms, saved."""
        content = "term,de\n" + "".join(f"{term},Begriff {i}\n" for i, term in enumerate(terms))
        file = GlossaryFile(Path("terms.csv"), content.encode())
        glossary = assemble("bench", [parse_glossary(file, Languages())])
        with form_cache(self.work / "forms", self.folder.encoder_id) as cache:
            index = build_index(
                glossary,
                self._encoder,
                OnnxPronouncer(self.folder),
                background_scores(self.folder),
                version="v",
                sources=[file.source],
                cache=cache,
            )
        index.save(folder, b"{}")
        return index

    def drawn_vectors(self, n: int) -> NDArray[np.float32]:
        """Vectors like those of real terms."""
        basis, rng = embed_texts(self.terms(_BASIS, 3), self._encoder), np.random.default_rng(4)
        vectors = np.empty((n, basis.shape[1]), np.float32)
        for first in range(0, n, _BASIS):
            some = vectors[first : first + _BASIS]
            one, two, three = rng.integers(0, len(basis), (3, len(some)))
            some[:] = basis[one] + (basis[two] - basis[three]) / 3
            some /= np.linalg.norm(some, axis=1, keepdims=True)
            some[:] = some.astype(np.float16)
        return vectors

    @without_collection()
    def drawn(self, terms: list[str], vectors: NDArray[np.float32], folder: Path) -> TermIndex:
        """An index over given vectors, saved."""
        said = {
            self._lexicon.words[word]: tuple(PHONEMES[i] for i in ids) for word, ids in self._lexicon.pronunciations
        }
        entries = [Entry(f"bench:{i:07d}", term, {"de": f"Begriff {i}"}) for i, term in enumerate(terms)]
        forms: list[Form] = [make_form(i, t, [[said[word] for word in t.split()]]) for i, t in enumerate(terms)]
        background = np.tile(np.array([-3.0, -1.5, -3.0, -1.5], np.float32), (len(forms), 1))
        index = TermIndex(entries, forms, tuned_search(vectors), background, self.folder.encoder_id, "v")
        index.save(folder, b"{}")
        return index

    def embed_seconds(self, terms: list[str]) -> tuple[float, float]:
        """Of the text tower alone."""
        watch = Stopwatch()
        with watch.run():
            embed_texts(terms, self._encoder)
        return watch.seconds

    def hops(self) -> NDArray[np.float32]:
        """Spans of real speech, float32[hops, 64, dim]."""
        frames, spans = open_frame_encoder(self.folder), OnnxSpanEncoder(self.folder)
        found = []
        for recording in recordings():
            samples, _ = soundfile.read(recording.path, dtype="float32")
            context = self.folder.spec.context_samples
            for start in range(0, len(samples) - context, 4 * _HOP_FRAMES * FRAME_SAMPLES):
                encoded = frames.encode(samples[start : start + context])
                count = len(encoded.frames)
                grid = SpanGrid().grid(count, count - _PROPOSAL_FRAMES)
                chosen = grid[np.linspace(0, len(grid) - 1, HOP_QUERIES).astype(int)]
                found.append(spans.embed(pool_spans(encoded.frames, chosen)))
        return np.stack(found)


def measure(maker: Maker, n: int, *, drawn: bool) -> Row:
    """Build, edit, load and search a glossary of that many terms."""
    terms, folder = maker.terms(n, n), maker.work / f"index-{n}"
    build, again = Stopwatch(), Stopwatch()
    vectors = maker.drawn_vectors(n) if drawn else np.zeros((0, 0), np.float32)
    with build.run():
        index = maker.drawn(terms, vectors, folder) if drawn else maker.real(terms, folder)
    if not drawn:
        vectors = index.vectors
        # The same draws begin with the same terms; what follows is new.
        new = maker.terms(n + -(-n // 100), n)[n:]
        edited = [new[i // 100] if i % 100 == 0 else term for i, term in enumerate(terms)]
        with again.run():
            maker.real(edited, maker.work / f"edited-{n}")
    facts, forms = index.search_facts, len(index.forms)
    del index
    hops = maker.hops()
    found = _in_own_process(maker, folder, hops)
    nearest, _ = exact_neighbours(vectors, hops.reshape(-1, hops.shape[-1]), NEIGHBOURS)
    ids = np.array(found["ids"])
    return Row(
        terms=n,
        forms=forms,
        drawn=drawn,
        search=f"{facts.kind}, {facts.axes} axes, {facts.probes} of {facts.lists} lists" if facts.axes else facts.kind,
        build=build.seconds,
        embed=None if drawn else maker.embed_seconds(terms),
        rebuild=None if drawn else again.seconds,
        folder_mb=sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        load=(found["load"][0], found["load"][1]),
        hop_ms=(found["hop_ms"][0], found["hop_ms"][1]),
        recall=float((ids[:, :, None] == nearest[:, None, :]).any(axis=2).mean()),
        promised_recall=facts.recall,
        peak_mb=found["peak_mb"],
    )


def _in_own_process(maker: Maker, folder: Path, hops: NDArray[np.float32]) -> dict[str, Any]:
    queries = maker.work / "hops.npy"
    np.save(queries, hops)
    command = [sys.executable, __file__, "--search", str(folder), str(queries), maker.folder.encoder_id]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def search_alone(folder: Path, queries: Path, encoder_id: str) -> None:
    """Load, search hop by hop, read the entries found, and print what it took."""
    faiss.omp_set_num_threads(1)
    load, walls, processors, ids = Stopwatch(), [], [], []
    with load.run():
        index = TermIndex.load(folder, encoder_id)
    hops = np.load(queries)
    for hop in [*hops[:2], *hops]:
        one = Stopwatch()
        with one.run():
            found, _ = index.search(hop, NEIGHBOURS)
        walls.append(1000 * one.seconds[0])
        processors.append(1000 * one.seconds[1])
        ids.append(found)
    for form in np.unique(ids[-1]):
        assert index.entries[index.forms[int(form)].entry_index].term
    measured = {
        "load": load.seconds,
        "hop_ms": (float(np.median(walls[2:])), float(np.median(processors[2:]))),
        "ids": np.concatenate(ids[2:]).tolist(),
        "peak_mb": _peak_mb(),
    }
    print(json.dumps(measured))


def _peak_mb() -> float:
    """Of this program; `getrusage` would also count the larger one that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table, times as wall (processor)."""

    def both(seconds: tuple[float, float] | None, digits: int = 1) -> str:
        return "–" if seconds is None else f"{seconds[0]:.{digits}f} ({seconds[1]:.{digits}f})"

    head = (
        "terms | forms | search | build s | of it embedding s | rebuild s (allowed) | folder MB | load s | hop ms | "
        "recall@10 | promised | peak MB"
    )
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for row in rows:
        allowed = "" if row.rebuild is None else f", allowed {0.05 * row.build[0] + 2:.1f}"
        cells = (
            f"{row.terms:,}{' drawn' if row.drawn else ''}",
            f"{row.forms:,}",
            row.search,
            both(row.build),
            both(row.embed),
            both(row.rebuild) + allowed,
            f"{row.folder_mb:.1f}",
            both(row.load, 2),
            both(row.hop_ms, 1),
            f"{row.recall:.4f}",
            f"{row.promised_recall:.4f}",
            f"{row.peak_mb:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--drawn", default="1000000")
    parser.add_argument("--work", type=Path, help="an empty folder for caches and indexes; a temporary one without")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--search", nargs=3, metavar=("FOLDER", "QUERIES", "ENCODER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.search:
        search_alone(Path(asked.search[0]), Path(asked.search[1]), asked.search[2])
        return
    with tempfile.TemporaryDirectory(dir=asked.work) as work:
        maker, rows = Maker(Path(work)), []
        sizes = [(int(n), False) for n in filter(None, asked.sizes.split(","))]
        for n, drawn in [*sizes, *((int(n), True) for n in filter(None, asked.drawn.split(",")))]:
            # Sizes do not share what they have computed.
            for left in (Path(work) / "forms").glob("*.sqlite"):
                left.unlink()
            rows.append(measure(maker, n, drawn=drawn))
            if asked.json:
                print(json.dumps(dataclasses.asdict(rows[-1])), flush=True)
    if not asked.json:
        print(table(rows))


if __name__ == "__main__":
    main()
