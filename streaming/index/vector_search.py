"""How the forms nearest to a query are found: exactly, or among the best by a few turned axes.

The vectors of a text tower fill few of their axes: of the bundled model's 256, 48 turned ones hold 99 % of their
squared length. So a large glossary is searched in a few turned axes first, and the best found there are scored once
more in all, from half-precision vectors that may lie on the disk. A very large one is moreover sorted into lists, of
which a query looks into some, in 8 bits an axis (inverted file: Jégou, Douze and Schmid 2011, through FAISS).
`index_builder.index_tuning` chooses, and measures what is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from streaming.index.half_precision import widened
from streaming.index.mapped_arrays import Content, view_array

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

_RESCORED_PER_NEIGHBOUR = 4
# Queries whose forms are scored once more in one product.
_RESCORED_TOGETHER = 32

# From so many queries a search is one matrix product. FAISS 1.15 begins at 128,000 and compares fewer one by one, which
# takes eight times as long for the spans of a hop.
faiss.cvar.distance_compute_blas_threshold = 20


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """How an index is searched, as its manifest tells it.

    Attributes:
        kind: "exact", "axes" (all forms, in turned axes) or "lists" (some of them, in turned axes).
        axes: turned axes that are compared first.
        lists: lists that the forms are sorted into.
        probes: lists that one query looks into.
        rescored: forms that are scored once more in all axes, at least.
        recall: the part of the ten nearest forms that is found, measured at build time on queries that were held out.
        milliseconds: of one core for 64 queries, measured at build time.
        megabytes: of the search structure and its vectors.
        device: what computed the exact neighbours that it was measured against, "cpu" or "gpu".
    """

    kind: str = "exact"
    axes: int = 0
    lists: int = 0
    probes: int = 0
    rescored: int = 0
    recall: float = 1.0
    milliseconds: float = 0.0
    megabytes: float = 0.0
    device: str = "cpu"


EXACT = SearchFacts()


class VectorSearch(Protocol):
    """Unit vectors of forms and the search among them; several threads may search at a time."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def count(self) -> int:
        """How many vectors there are."""
        ...

    @property
    def facts(self) -> SearchFacts:
        """How it searches."""
        ...

    def search(self, queries: Floats, top_k: int) -> tuple[Ids, Floats]:
        """float32[m, dim] -> int64[m, k] and cosines float32[m, k], best first; `top_k` at most `count`."""
        ...

    def vectors_of(self, forms: Ids) -> Floats:
        """The vectors of some forms, float32[n, dim]; only these are read."""
        ...

    def pack(self) -> tuple[bytes, NDArray[np.float16] | None]:
        """The search structure as FAISS writes it, and the vectors where these lie apart, float16[n, dim]."""
        ...


class ExactSearch:
    """Every form is compared with every query, in single precision."""

    def __init__(self, flat: faiss.IndexFlatIP) -> None:
        self._flat = flat

    @classmethod
    def of(cls, vectors: Floats) -> "ExactSearch":
        """Over float32[n, dim]."""
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors, np.float32))
        return cls(flat)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._flat.d)

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return int(self._flat.ntotal)

    @property
    def facts(self) -> SearchFacts:
        """Exact; not measured."""
        return EXACT

    def search(self, queries: Floats, top_k: int) -> tuple[Ids, Floats]:
        """The nearest of all."""
        similarities, forms = self._flat.search(np.ascontiguousarray(queries, np.float32), top_k)
        return np.asarray(forms, np.int64), np.asarray(similarities, np.float32)

    def vectors_of(self, forms: Ids) -> Floats:
        """The vectors of some forms."""
        return np.asarray(self._flat.reconstruct_batch(np.ascontiguousarray(forms, np.int64)), np.float32)

    def pack(self) -> tuple[bytes, None]:
        """FAISS's flat index; the vectors lie in it."""
        return faiss.serialize_index(self._flat).tobytes(), None


class RescoredSearch:
    """Forms are compared in a few turned axes, the best of them once more in all."""

    def __init__(self, turned: faiss.IndexPreTransform, vectors: NDArray[np.float16], facts: SearchFacts) -> None:
        """Search with what was built.

        Args:
            turned: turns queries and compares all forms, or those in as many lists as its inverted file says.
            vectors: float16[n, dim], in memory or mapped.
            facts: tells how many are scored once more.

        Raises:
            ValueError: the parts do not fit together.
        """
        if (turned.ntotal, turned.d) != vectors.shape:
            raise ValueError(
                f"a search structure over {turned.ntotal} vectors of dimension {turned.d} does not go with "
                f"{list(vectors.shape)}"
            )
        if facts.rescored < 1:
            raise ValueError(f"{facts.rescored} forms would be scored once more; it must be at least 1")
        self._turned, self._vectors, self._facts = turned, vectors, facts

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._vectors.shape[1])

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return len(self._vectors)

    @property
    def facts(self) -> SearchFacts:
        """How it searches, and how well that did when it was built."""
        return self._facts

    def search(self, queries: Floats, top_k: int) -> tuple[Ids, Floats]:
        """The nearest of those that are best in the turned axes; similarities are of the half-precision vectors.

        Where a query's lists hold too few, the first forms of the index fill up, with their true similarity.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        asked = min(self.count, max(self._facts.rescored, _RESCORED_PER_NEIGHBOUR * top_k))
        _, forms = self._turned.search(queries, asked)
        forms = _filled(np.asarray(forms, np.int64), self.count)
        similarities = np.empty(forms.shape, np.float32)
        for first in range(0, len(queries), _RESCORED_TOGETHER):
            some = slice(first, first + _RESCORED_TOGETHER)
            # Spans that lie beside each other find the same forms: one product of all with all is the quickest.
            known, place = np.unique(forms[some], return_inverse=True)
            products = queries[some] @ self.vectors_of(known).T
            similarities[some] = np.take_along_axis(products, place.reshape(forms[some].shape), axis=1)
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :top_k]
        return np.take_along_axis(forms, best, axis=1), np.take_along_axis(similarities, best, axis=1)

    def told(self, facts: SearchFacts) -> "RescoredSearch":
        """The same search with other facts."""
        return RescoredSearch(self._turned, self._vectors, facts)

    def vectors_of(self, forms: Ids) -> Floats:
        """The vectors of some forms."""
        return widened(self._vectors[forms])

    def pack(self) -> tuple[bytes, NDArray[np.float16]]:
        """FAISS's structure behind its turn, and the vectors."""
        return faiss.serialize_index(self._turned).tobytes(), self._vectors


_KINDS: Mapping[str, type[Any]] = {
    "exact": faiss.IndexFlatIP,
    "axes": faiss.IndexPreTransform,
    "lists": faiss.IndexPreTransform,
}


def unpack_search(
    name: str, content: Content, vectors: Content | None, facts: SearchFacts, shape: tuple[int, int]
) -> VectorSearch:
    """The reverse of `pack`.

    Args:
        name: the file of `content`, for the message.
        content: what FAISS wrote.
        vectors: the content of the .npy file beside it, if there is one.
        facts: from the manifest.
        shape: forms and dimension that the manifest tells.

    Raises:
        ValueError: the parts are not what `facts` says.
        RuntimeError: FAISS cannot read its part.
    """
    read: Any = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    wanted = _KINDS.get(facts.kind)
    if wanted is None:
        raise ValueError(f"it is searched in a way unknown here ({facts.kind!r})")
    if not isinstance(read, wanted):
        raise ValueError(f"{name} holds a {type(read).__name__}, not an {wanted.__name__}")
    if (read.ntotal, read.d) != shape:
        raise ValueError(
            f"{name} holds {read.ntotal} vectors of dimension {read.d}, the manifest says {shape[0]} and {shape[1]}"
        )
    if (facts.kind == "exact") != (vectors is None):
        raise ValueError(f"vectors beside {name} do not go with the search {facts.kind!r}")
    if vectors is None:
        return ExactSearch(read)
    return RescoredSearch(read, view_array(vectors, "vectors.npy", np.float16, shape), facts)


def _filled(forms: Ids, count: int) -> Ids:
    """Without the −1 that stand for nothing found: such a place gets a form that its row does not hold."""
    for row in np.flatnonzero((forms < 0).any(axis=1)):
        there = forms[row][forms[row] >= 0]
        others = np.setdiff1d(np.arange(min(count, 2 * forms.shape[1]), dtype=np.int64), there)
        forms[row] = np.concatenate([there, others])[: forms.shape[1]]
    return forms
