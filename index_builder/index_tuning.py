"""How a glossary of this size is searched: the structure, and as much work a query as its recall needs.

Up to `EXACT_NUMBERS` numbers every form is compared in all axes. Beyond, what is lost is measured against that exact
search with queries that are no form of the glossary, and the least work is taken that loses no more than the target
allows. What the manifest tells is measured on other such queries than those that were tuned on.

Spans of speech are not like forms: they cover the end of one word and the start of the next, and come from another
tower. Their stand-ins are therefore means of two forms, turned away to a cosine of 0.6. On the bundled model and
100,000 terms these lose as much as real spans of real recordings do (at 128 of 1,264 lists: recall 0.973 and 0.974);
forms with noise alone lose less, and would promise too much.

Graphs (HNSW) answer a million forms in about the time of lists at the same recall, but take eighteen times as long to
build, and cannot be built anew after every edit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import faiss
import numpy as np
from numpy.typing import NDArray

from index_builder.centroids import centroids_of, nearest_means
from index_builder.exact_neighbours import exact_neighbours
from index_builder.scanned_lists import scanned_lists, twice
from streaming.index.half_precision import widened
from streaming.index.turned_axes import turn_of
from streaming.index.vector_search import ExactSearch, RescoredSearch, SearchFacts, VectorSearch

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Ids = NDArray[np.int64]

NEIGHBOURS = 10
HOP_QUERIES = 64
EXACT_NUMBERS = 1 << 23
"""Numbers that one core compares with the spans of a hop in about 10 ms."""
_RECALL, _LARGE, _RECALL_OF_LARGE = 0.99, 200_000, 0.975
_AXES = (32, 48, 64, 96, 128, 192)
_RESCORED = 64
_QUERIES, _QUERIES_OF_LARGE = 256, 384
_COSINE = 0.6
_TRAINED_PER_LIST = 40
_FIRST_PROBES = 8
_TURNED_AT_ONCE = 1 << 10
_SEED = 20_261


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries float32[m, dim] that are no forms, and their ten nearest forms int64[m, 10]."""

    queries: Floats
    nearest: Ids

    def recall(self, search: VectorSearch) -> float:
        """The part of the nearest forms that a search finds."""
        k = self.nearest.shape[1]
        found, _ = search.search(self.queries, k)
        return float((found[:, :, None] == self.nearest[:, None, :]).any(axis=2).mean())


def tuned_search(
    vectors: Floats | Halves, target: float | None = None, exact_numbers: int = EXACT_NUMBERS
) -> VectorSearch:
    """The search for some forms, with what was measured of it in its facts.

    Args:
        vectors: float[n, dim], unit norm, in half precision or exact in it.
        target: recall of the ten nearest; 0.99, and 0.975 beyond 200,000 forms, if None.
        exact_numbers: how many numbers are compared exactly, `n` times `dim`.
    """
    n, dim = vectors.shape
    if n * dim <= exact_numbers:
        return ExactSearch.of(np.asarray(vectors, np.float32))
    half = np.asarray(vectors, np.float16)
    count = _QUERIES if n <= _LARGE else _QUERIES_OF_LARGE
    if target is None:
        target = _RECALL if n <= _LARGE else _RECALL_OF_LARGE
    rng = np.random.default_rng(_SEED)
    queries = stand_ins(half, 2 * count, rng)
    nearest, device = exact_neighbours(half, queries, min(NEIGHBOURS, n))
    tuning, judging = HeldOut(queries[:count], nearest[:count]), HeldOut(queries[count:], nearest[count:])
    turn = turn_of(half, rng)
    # Half of what may be lost is left to the lists.
    search, turned = _in_fewest_axes(half, turn, tuning, (1 + target) / 2)
    if turned.size > exact_numbers:
        search = _in_lists(half, turn[:, : search.facts.axes], turned, tuning, target, rng)
    facts = replace(
        search.facts,
        recall=round(judging.recall(search), 4),
        milliseconds=round(_milliseconds(search, judging.queries[:HOP_QUERIES]), 2),
        megabytes=round((len(search.pack()[0]) + half.nbytes) / 1e6, 1),
        device=device,
    )
    return search.told(facts)


def stand_ins(vectors: Floats | Halves, n: int, rng: np.random.Generator) -> Floats:
    """Queries as spans of speech make them, float32[n, dim], unit norm: two forms each, and noise."""
    pair = vectors[rng.integers(0, len(vectors), (2, n))].astype(np.float32).sum(axis=0)
    between = _unit(pair)
    noise = rng.standard_normal(between.shape)
    across = _unit(noise - (noise * between).sum(axis=1, keepdims=True) * between)
    return np.asarray(_COSINE * between + np.sqrt(1 - _COSINE**2) * across, np.float32)


def _in_fewest_axes(half: Halves, turn: Floats, held_out: HeldOut, target: float) -> tuple[RescoredSearch, Floats]:
    """All forms in as few axes as reach the target; and their vectors in these, float32[n, axes]."""
    dim = half.shape[1]
    for axes in (*(axes for axes in _AXES if axes < dim), dim):
        inner, turned = faiss.IndexFlatIP(axes), _in_axes(half, turn[:, :axes])
        inner.add(turned)
        search = RescoredSearch(_turned(turn[:, :axes], inner), half, SearchFacts("axes", axes, rescored=_RESCORED))
        if held_out.recall(search) >= target:
            break
    return search, turned


def _in_lists(
    half: Halves,
    turn: Floats,
    turned: Floats,
    held_out: HeldOut,
    target: float,
    rng: np.random.Generator,
) -> RescoredSearch:
    """The forms in lists, of which a query looks into as few as reach the target."""
    n, axes = turned.shape
    lists = max(1, min(int(4 * np.sqrt(n)), n // _TRAINED_PER_LIST))
    some = turned[np.sort(rng.choice(n, min(n, _TRAINED_PER_LIST * lists), replace=False))]
    means = centroids_of(some, lists, _SEED)
    inner = scanned_lists(turned, means, nearest_means(turned, means))
    facts = SearchFacts("lists", axes, lists, rescored=_RESCORED)
    search = RescoredSearch(_turned(twice(turn), inner), half, facts)

    def suffices(probes: int) -> bool:
        inner.nprobe = probes
        return held_out.recall(search) >= target

    probes = _fewest(suffices, lists)
    inner.nprobe = probes
    return search.told(replace(facts, probes=probes))


def _in_axes(half: Halves, turn: Floats) -> Floats:
    """The vectors in turned axes, float32[n, axes]; few of them are single-precision numbers at one time."""
    turned = np.empty((len(half), turn.shape[1]), np.float32)
    for first in range(0, len(half), _TURNED_AT_ONCE):
        some = slice(first, first + _TURNED_AT_ONCE)
        turned[some] = widened(half[some]) @ turn
    return turned


def _fewest(suffices: Callable[[int], bool], most: int) -> int:
    """About the fewest probes that suffice, a sixteenth too many at worst; `most` if no number does."""
    low, high = 0, min(_FIRST_PROBES, most)
    while high < most and not suffices(high):
        low, high = high, min(2 * high, most)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _turned(turn: Floats, inner: faiss.Index) -> faiss.IndexPreTransform:
    linear = faiss.LinearTransform(turn.shape[0], turn.shape[1], False)
    faiss.copy_array_to_vector(np.ascontiguousarray(turn.T).ravel(), linear.A)
    linear.is_trained = True
    return faiss.IndexPreTransform(linear, inner)


def _milliseconds(search: VectorSearch, queries: Floats, times: int = 5) -> float:
    """The least time of the processor for one hop's queries."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        search.search(queries, NEIGHBOURS)
        taken.append(time.process_time() - started)
    return 1000 * min(taken)


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
