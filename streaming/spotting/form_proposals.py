"""The forms of a large glossary that are nearest to any of some spans, for all that they are near to any speech.

Each form counts by the span that it is nearest to, less its hubness (`streaming.spotting.span_hubs`). Up to
`COMPARED_FORMS` forms all are compared with all spans: in a few turned axes first, which hold nearly all of a vector,
and the best of them once more in all. Of more forms those are weighed that a search finds for each span by itself.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.index.searched_index import SearchedIndex
from streaming.index.turned_axes import turn_of
from streaming.spotting.span_hubs import hubness

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

COMPARED_FORMS = 1 << 15
_AXES = 48
# So many times as many forms as are asked for are compared in all axes, or weighed behind a search.
_COMPARED, _WEIGHED = 6, 3


class FormProposals(Protocol):
    """What is made of one index for all streams over it; it does not hold the index."""

    def nearest(self, index: SearchedIndex, spans: Floats, most: int) -> Ids:
        """The forms of that index that are nearest to any of float32[m, dim], best first: int64[≤ most]."""
        ...


class ComparedForms:
    """All forms are compared with all spans.

    Args:
        vectors: of all forms, float32[n, dim], unit norm.
        hubs: float32[k, dim].
    """

    def __init__(self, vectors: Floats, hubs: Floats) -> None:
        self._hubness = hubness(vectors, hubs)
        self._turn = np.ascontiguousarray(turn_of(vectors, np.random.default_rng(0))[:, :_AXES])
        self._turned = np.ascontiguousarray((vectors @ self._turn).T)

    def nearest(self, index: SearchedIndex, spans: Floats, most: int) -> Ids:
        """As `FormProposals` has it."""
        chosen, compared = np.arange(len(self._hubness)), _COMPARED * most
        if len(chosen) > compared:
            roughly = ((spans @ self._turn) @ self._turned).max(axis=0) - self._hubness
            # In the order of the index, as they stand where all are compared at once.
            chosen = np.sort(np.argpartition(-roughly, compared)[:compared])
        score = (spans @ index.vectors_of(chosen).T).max(axis=0) - self._hubness[chosen]
        return chosen[np.argsort(-score, kind="stable")[:most]]


class SearchedForms:
    """The index is searched for each span by itself.

    Args:
        hubs: float32[k, dim].
        neighbours: forms that are looked for near each span.
    """

    def __init__(self, hubs: Floats, neighbours: int) -> None:
        self._hubs, self._neighbours = hubs, neighbours

    def nearest(self, index: SearchedIndex, spans: Floats, most: int) -> Ids:
        """As `FormProposals` has it."""
        found, similarity = index.search(spans, self._neighbours)
        order = np.argsort(-similarity.ravel(), kind="stable")
        ranked, best = found.ravel()[order], similarity.ravel()[order]
        _, first = np.unique(ranked, return_index=True)
        first = np.sort(first)[: _WEIGHED * most]
        forms = ranked[first].astype(np.int64)
        score = best[first] - hubness(index.vectors_of(forms), self._hubs)
        return forms[np.argsort(-score, kind="stable")[:most]]


def proposals_of(index: SearchedIndex, hubs: Floats, neighbours: int) -> FormProposals:
    """The one that goes with the size of an index.

    Args:
        index: any.
        hubs: float32[k, dim] of the model; none where it has none.
        neighbours: forms that are looked for near each span where not all are compared.
    """
    count = len(index.forms)
    return (
        ComparedForms(index.vectors_of(range(count)), hubs)
        if count <= COMPARED_FORMS
        else SearchedForms(hubs, neighbours)
    )
