"""The three things that are computed of spoken forms, each batch kept in a cache before the next is begun."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_builder.embed import BATCH_SIZE, TextEncoder, embed_texts
from index_builder.pronounce import Pronouncer, Word
from index_builder.vector_cache import FormCache, key_of
from streaming.term_index import BACKGROUND_COLUMNS, Form

Background: TypeAlias = Callable[[Sequence[Form]], NDArray[np.float32]]
"""Forms -> float32[n, 4], their statistics against background speech."""
Done: TypeAlias = Callable[[int], None]
"""Told how many more texts, words or forms are done, those that were known included."""

_VECTORS_AT_ONCE = 8 * BATCH_SIZE
_WORDS_AT_ONCE = 512
_FORMS_AT_ONCE = 2048


def embed_forms(texts: Sequence[str], encoder: TextEncoder, cache: FormCache | None, done: Done) -> NDArray[np.float16]:
    """Unit vectors of texts, float16[n, dim].

    Half precision is what a large index and the cache keep: so a form has the same vector however it came here.

    Args:
        texts: of any lengths; each distinct one is embedded once.
        encoder: the text tower.
        cache: where vectors are looked up and kept.
        done: told of each distinct text.

    Raises:
        ModelError: the encoder's vectors cannot be used.
        IndexFolderError: the cache cannot be used.
    """
    distinct = list(dict.fromkeys(texts))
    vectors = np.empty((len(distinct), encoder.dim), np.float16)
    keys = [key_of(text) for text in distinct] if cache is not None else []
    missing = _fill(vectors, "vector", keys, cache)
    done(len(distinct) - len(missing))
    # Texts of like length in one batch.
    missing.sort(key=lambda row: len(distinct[row]))
    for some in _batches(missing, _VECTORS_AT_ONCE):
        vectors[some] = embed_texts([distinct[row] for row in some], encoder).astype(np.float16)
        _keep(vectors, "vector", keys, some, cache)
        done(len(some))
    # Most glossaries say no text twice, and a large one's vectors need not be copied for it.
    if len(distinct) == len(texts):
        return vectors
    place = {text: row for row, text in enumerate(distinct)}
    return vectors[[place[text] for text in texts]]


def background_of(
    forms: Sequence[Form], background: Background, cache: FormCache | None, done: Done
) -> NDArray[np.float32]:
    """Statistics of forms against background speech, float32[n, 4].

    Args:
        forms: any; those that are written and said alike are asked for once.
        background: asked in alphabetic order, in which neighbours share the most.
        cache: where statistics are looked up and kept.
        done: told of each form.

    Raises:
        IndexFolderError: the cache cannot be used.
    """
    place: dict[bytes, int] = {}
    rows = [place.setdefault(_key_of_form(form), len(place)) for form in forms]
    first: dict[int, Form] = {}
    for row, form in zip(rows, forms, strict=True):
        first.setdefault(row, form)
    keys, statistics = list(place), np.empty((len(place), BACKGROUND_COLUMNS), np.float32)
    missing = _fill(statistics, "background", keys, cache)
    done(len(forms) - len(missing))
    missing.sort(key=lambda row: first[row].text)
    for some in _batches(missing, _FORMS_AT_ONCE):
        statistics[some] = background([first[row] for row in some])
        _keep(statistics, "background", keys, some, cache)
        done(len(some))
    return statistics[rows]


class CachedPronouncer:
    """A pronouncer that asks another for the words that the cache does not know."""

    def __init__(self, pronouncer: Pronouncer, cache: FormCache | None, done: Done) -> None:
        """`done` is told of each word."""
        self._pronouncer, self._cache, self._done = pronouncer, cache, done

    def pronounce(self, words: Sequence[str]) -> list[list[Word]]:
        """For each word its pronunciations, the best first. Raises IndexFolderError where the cache fails."""
        found: list[list[Word] | None] = [None] * len(words)
        keys = [key_of(word) for word in words]
        if self._cache is not None:
            for some_known in self._cache.find("words", keys):
                for row, value in some_known.values():
                    found[row] = [tuple(way) for way in json.loads(value)]
        missing = [row for row, ways in enumerate(found) if ways is None]
        self._done(len(words) - len(missing))
        for some in _batches(missing, _WORDS_AT_ONCE):
            for row, ways in zip(some, self._pronouncer.pronounce([words[row] for row in some]), strict=True):
                found[row] = ways
            if self._cache is not None:
                self._cache.keep("words", ((keys[row], json.dumps(found[row]).encode()) for row in some))
            self._done(len(some))
        return [ways or [] for ways in found]


def _key_of_form(form: Form) -> bytes:
    return key_of(form.text, *(way.encode() for way in form.said))


def _fill(rows: NDArray[np.generic], kind: str, keys: Sequence[bytes], cache: FormCache | None) -> list[int]:
    """Fill in the rows that the cache knows; the others' numbers."""
    missing = np.ones(len(rows), bool)
    if cache is not None:
        for found in cache.find(kind, keys):
            missing[found.fill(rows)] = False
    return [int(row) for row in np.flatnonzero(missing)]


def _keep(
    rows: NDArray[np.generic], kind: str, keys: Sequence[bytes], some: Sequence[int], cache: FormCache | None
) -> None:
    if cache is not None:
        cache.keep(kind, ((keys[row], rows[row].tobytes()) for row in some))


def _batches(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]
