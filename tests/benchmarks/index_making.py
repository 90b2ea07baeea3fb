"""Makes glossaries of random terms and their indexes, all of it with the bundled model or most of it drawn."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.samples import recordings
from index_builder.build import build_index
from index_builder.collection import without_collection
from index_builder.embed import TextEncoder, embed_texts
from index_builder.form_stages import Background
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.index_tuning import HOP_QUERIES
from index_builder.vector_cache import form_cache
from streaming.encoder import OnnxSpanEncoder, OnnxTextEncoder
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.entries import Form
from streaming.grapheme import OnnxPronouncer
from streaming.index.background import background_scores
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.spans import FRAME_SAMPLES, SpanGrid, pool_spans
from streaming.term_index import TermIndex
from streaming.words.lexicon import LEXICON_FILE, unpack_lexicon

Item = TypeVar("Item")
Seconds: TypeAlias = tuple[float, float]
"""Of the wall and of the processor."""

_PROPOSAL_FRAMES = 32
_HOP_FRAMES = 16
_BASIS = 50_000
_DRAWN_AT_ONCE = 10_000
_TOWER_BATCH, _TOWER_BATCHES = 256, 16
_STATISTICS_BATCH, _STATISTICS_BATCHES = 2048, 3


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


class DrawnTower:
    """A text tower whose vectors are like those of real terms: each a real one and a third of how two others differ.

    Which three follows from the text, so that a text has the same vector in every build.
    """

    def __init__(self, basis: NDArray[np.float32], encoder_id: str) -> None:
        self._basis = basis
        self.dim, self.encoder_id = basis.shape[1], encoder_id

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Any texts -> float32[n, dim], unit norm."""
        drawn = np.frombuffer(b"".join([sha256(text.encode()).digest()[:12] for text in texts]), np.uint32)
        one, two, three = (drawn % len(self._basis)).reshape(-1, 3).T
        vectors = self._basis[one] + (self._basis[two] - self._basis[three]) / 3
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def flat_statistics(forms: Sequence[Form]) -> NDArray[np.float32]:
    """The same statistics for every form, about those of a term."""
    return np.tile(np.array([-3.0, -1.5, -3.0, -1.5], np.float32), (len(forms), 1))


class Maker:
    """Makes glossaries and their indexes with the bundled model."""

    def __init__(self, work: Path) -> None:
        self.folder = ModelFolder.load(BUNDLED)
        self.work = work
        lexicon = unpack_lexicon(self.folder.contents[LEXICON_FILE])
        self._words = [word for word in lexicon.words if len(word) > 2]
        self._encoder = OnnxTextEncoder(self.folder)
        self._background = background_scores(self.folder)

    def terms(self, n: int, seed: int) -> list[str]:
        """That many distinct terms; more of the same seed begin with the same."""
        rng, found = np.random.default_rng(seed), dict[str, None]()
        while len(found) < n:
            counts = rng.choice([1, 2, 3], _DRAWN_AT_ONCE, p=[0.15, 0.55, 0.3])
            words = rng.integers(0, len(self._words), (_DRAWN_AT_ONCE, 3))
            for count, three in zip(counts.tolist(), words.tolist(), strict=True):
                found.setdefault(" ".join([self._words[word] for word in three[:count]]))
        return list(found)[:n]

    def real(self, terms: list[str], folder: Path) -> TermIndex:
        """The index of a glossary file with these terms, saved; what the cache knows is not computed again."""
        return self._build(terms, folder, self._encoder, self._background)

    def drawn(self, terms: list[str], folder: Path, tower: DrawnTower) -> TermIndex:
        """The same way with drawn vectors and flat statistics, which the cache keeps as if they were real."""
        return self._build(terms, folder, tower, flat_statistics)

    def tower(self) -> DrawnTower:
        """A tower that draws from the vectors of other terms."""
        return DrawnTower(embed_texts(self.terms(_BASIS, 3), self._encoder), self.folder.encoder_id)

    @without_collection()
    def _build(self, terms: list[str], folder: Path, encoder: TextEncoder, background: Background) -> TermIndex:
        content = "term,de\n" + "".join(f"{term},Begriff {i}\n" for i, term in enumerate(terms))
        file = GlossaryFile(Path("terms.csv"), content.encode())
        glossary = assemble("bench", [parse_glossary(file, Languages())])
        with form_cache(self.work / "forms", self.folder.encoder_id) as cache:
            index = build_index(
                glossary,
                encoder,
                OnnxPronouncer(self.folder),
                background,
                version="v",
                sources=[file.source],
                cache=cache,
            )
        index.save(folder, b"{}")
        return index

    def embed_seconds(self, terms: list[str]) -> Seconds:
        """Of the text tower alone."""
        watch = Stopwatch()
        with watch.run():
            embed_texts(terms, self._encoder)
        return watch.seconds

    def model_seconds(self, forms: Sequence[Form]) -> Seconds:
        """Of the text tower and the statistics for all these forms: those of some batches, times how many there are.

        The batches are as a build makes them, of texts of like length and of neighbours in the alphabet, and stand at
        even distances in those orders.
        """
        texts = sorted((form.text for form in forms), key=len)
        tower = _of_all(texts, _TOWER_BATCH, _TOWER_BATCHES, lambda some: self._encoder.embed([*some]))
        ordered = sorted(forms, key=lambda form: form.text)
        # What is compiled at its first use takes no part in how long a form takes.
        self._background(ordered[:1])
        statistics = _of_all(ordered, _STATISTICS_BATCH, _STATISTICS_BATCHES, self._background)
        return tower[0] + statistics[0], tower[1] + statistics[1]

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


def _of_all(items: Sequence[Item], batch: int, batches: int, work: Callable[[Sequence[Item]], object]) -> Seconds:
    """How long `work` would take for all items in batches, from how long it takes for some of the batches."""
    places = [int(place) for place in np.linspace(0, max(0, len(items) - batch), batches)]
    watch = Stopwatch()
    with watch.run():
        for place in places:
            work(items[place : place + batch])
    share = len(items) / (batches * min(batch, len(items)))
    return share * watch.seconds[0], share * watch.seconds[1]
