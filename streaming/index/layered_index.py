"""Several indexes searched as one: a personal glossary over a shared one.

The first layer wins: an entry whose term it has too is hidden in the layers below, and so is every form below that is
spoken the same, so that one thing said gives one hint. Nothing is copied; a layer may be as large as it likes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry, Form
from streaming.index.entry_lines import LazySequence
from streaming.index.searched_index import SearchedIndex

VERSION_SEPARATOR = ","
# Forms of equal text have equal vectors, up to what a batch and half precision do to them.
_SAME_VECTOR = 0.995
_SAME_VECTORS = 16
_QUERIES = 1024
# So many of the nearest forms may be hidden before a search finds fewer than it was asked for.
_HIDDEN_NEAR = 32
_TERM = "term"


class LayeredIndex:
    """What `SearchedIndex` asks for, over several of them; immutable like these.

    Attributes:
        entries: of all layers, the first layer's first; also those that are hidden, which have no form here.
        forms: of all layers without the hidden ones, grouped by entry.
        background: statistics of each form, float32[4].
        hidden: ids of the entries of lower layers whose terms a layer above has too.
    """

    entries: Sequence[Entry]
    forms: Sequence[Form]
    background: Sequence[NDArray[np.float32]]
    hidden: frozenset[str]

    def __init__(self, layers: Sequence[SearchedIndex]) -> None:
        """Find what is hidden. Raises ValueError for no layer, or vectors of different lengths."""
        if not layers or len({layer.dim for layer in layers}) > 1:
            raise ValueError("the layers must have vectors of one length, and there must be one")
        self._layers = tuple(layers)
        self._first_entry = list(accumulate((len(layer.entries) for layer in layers), initial=0))
        hidden: set[str] = set()
        self._visible = [self._visible_forms(depth, hidden) for depth in range(len(layers))]
        self._first_form = list(accumulate((len(visible) for visible in self._visible), initial=0))
        self._place = [_places(len(layer.forms), v) for layer, v in zip(layers, self._visible, strict=True)]
        self.hidden = frozenset(hidden)
        self.entries = LazySequence(self._first_entry[-1], self._entry)
        self.forms = LazySequence(self._first_form[-1], self._form)
        self.background = LazySequence(self._first_form[-1], self._background)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._layers[0].dim

    @property
    def version(self) -> str:
        """The versions of the layers."""
        return VERSION_SEPARATOR.join(layer.version for layer in self._layers)

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations of all layers."""
        return tuple(dict.fromkeys(lang for layer in self._layers for lang in layer.target_langs))

    def version_of(self, entry_index: int) -> str:
        """The version of the layer that an entry comes from."""
        depth = bisect_right(self._first_entry, entry_index) - 1
        return self._layers[depth].version_of(entry_index - self._first_entry[depth])

    def vectors_of(self, forms: NDArray[np.integer] | Sequence[int]) -> NDArray[np.float32]:
        """The vectors of some forms, float32[n, dim], unit norm."""
        asked = np.asarray(forms, np.int64).reshape(-1)
        depths = np.searchsorted(self._first_form, asked, side="right") - 1
        vectors = np.zeros((len(asked), self.dim), np.float32)
        for depth in np.unique(depths).tolist():
            rows = np.flatnonzero(depths == depth)
            own = self._visible[depth][asked[rows] - self._first_form[depth]]
            vectors[rows] = self._layers[depth].vectors_of(own)
        return vectors

    def search(self, queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest forms of each query in all layers.

        Returns:
            int64[m, k] form indices and float32[m, k] cosines, best first. Where many hidden forms were among the
            nearest, forms of cosine -1 may fill the end.
        """
        ids, similarities = [], []
        counts = [len(visible) for visible in self._visible]
        for layer, place, first, visible in zip(self._layers, self._place, self._first_form, counts, strict=False):
            asked = min(top_k + min(len(place) - visible, _HIDDEN_NEAR), len(place))
            found, cosines = layer.search(queries, asked)
            at = place[found]
            ids.append(np.where(at < 0, 0, at + first))
            similarities.append(np.where((at < 0) | (found < 0), np.float32(-1), cosines))
        all_ids, cosines = np.concatenate(ids, axis=1), np.concatenate(similarities, axis=1)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :top_k]
        return np.take_along_axis(all_ids, best, axis=1), np.take_along_axis(cosines, best, axis=1)

    def _own_form(self, form_index: int) -> tuple[int, int]:
        """A form's layer, and its number there."""
        depth = bisect_right(self._first_form, form_index) - 1
        return depth, int(self._visible[depth][form_index - self._first_form[depth]])

    def _entry(self, entry_index: int) -> Entry:
        depth = bisect_right(self._first_entry, entry_index) - 1
        return self._layers[depth].entries[entry_index - self._first_entry[depth]]

    def _form(self, form_index: int) -> Form:
        depth, own = self._own_form(form_index)
        form = self._layers[depth].forms[own]
        return replace(form, entry_index=form.entry_index + self._first_entry[depth])

    def _background(self, form_index: int) -> NDArray[np.float32]:
        depth, own = self._own_form(form_index)
        return self._layers[depth].background[own]

    def _visible_forms(self, depth: int, hidden: set[str]) -> NDArray[np.int64]:
        """The forms of a layer that no layer above has too; the ids of entries that it hides whole go to `hidden`."""
        layer = self._layers[depth]
        is_visible = np.ones(len(layer.forms), np.bool_)
        for above in self._layers[:depth]:
            for own, is_term in _same_forms(above, layer):
                is_visible[own] = False
                if is_term:
                    first, last = _forms_of_entry(layer, own)
                    is_visible[first:last] = False
                    hidden.add(layer.entries[layer.forms[own].entry_index].entry_id)
        return np.flatnonzero(is_visible)


def _same_forms(above: SearchedIndex, below: SearchedIndex) -> list[tuple[int, bool]]:
    """The forms of `below` that are spoken as one of `above`, and whether both are the terms of their entries.

    Found by their vectors, so that a layer of a million forms is not read whole.
    """
    found = []
    for start in range(0, len(above.forms), _QUERIES):
        chosen = range(start, min(start + _QUERIES, len(above.forms)))
        ids, cosines = below.search(above.vectors_of(chosen), min(_SAME_VECTORS, len(below.forms)))
        for number, near, likeness in zip(chosen, ids.tolist(), cosines.tolist(), strict=True):
            said = above.forms[number]
            for own, cosine in zip(near, likeness, strict=True):
                if cosine < _SAME_VECTOR or own < 0:
                    break
                form = below.forms[own]
                if form.text == said.text:
                    found.append((own, form.kind == said.kind == _TERM))
    return found


def _forms_of_entry(index: SearchedIndex, form_index: int) -> tuple[int, int]:
    """The first form of a form's entry, and the end of its forms."""
    entry = index.forms[form_index].entry_index
    first, last = form_index, form_index + 1
    while first and index.forms[first - 1].entry_index == entry:
        first -= 1
    while last < len(index.forms) and index.forms[last].entry_index == entry:
        last += 1
    return first, last


def _places(forms: int, visible: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each form of a layer its place among the visible ones, -1 for a hidden one."""
    places = np.full(forms, -1, np.int64)
    places[visible] = np.arange(len(visible))
    return places
