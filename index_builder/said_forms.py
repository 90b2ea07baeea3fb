"""Spoken forms with their pronunciations and statistics: what the cache knows of a form comes in one look.

Without these rows each form would cost a look at each of its words, a combination of what they give, and a look for the
statistics of the result: after a small edit of a large glossary that is most of the work.
"""

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_builder.form_stages import Background, Done, background_of
from index_builder.pronounce import Pronouncer, Pronunciation, SpokenForm, pronounce_forms
from index_builder.vector_cache import FormCache, key_of
from streaming.entries import make_form, words_of_arpabet
from streaming.symbols import PHONEMES
from streaming.term_index import BACKGROUND_COLUMNS, Form

_KIND = "said"
_STATISTICS_BYTES = BACKGROUND_COLUMNS * np.dtype(np.float32).itemsize
# Between the pronunciations of a form, in whose ARPAbet it does not occur.
_BETWEEN = "/"
_LETTERS = "".join(sorted({*" ", *_BETWEEN, *"".join(PHONEMES)})).encode()

Said: TypeAlias = tuple[str, ...]
"""The pronunciations of a form in ARPAbet."""


class SaidForms:
    """The forms of a glossary, pronounced; measured when it is known which of them stay."""

    def __init__(
        self,
        owned: Sequence[tuple[int, SpokenForm]],
        pronouncer: Pronouncer,
        cache: FormCache | None,
        done: Done,
    ) -> None:
        """Pronounce what the cache does not know.

        Args:
            owned: each form with the number of its entry.
            pronouncer: asked for the words of new forms.
            cache: where whole forms are looked up and kept.
            done: told of each form that is measured.

        Raises:
            IndexFolderError: the cache cannot be used.
        """
        self._cache, self._done = cache, done
        self._keys = [_key(form) for _, form in owned] if cache is not None else []
        self._statistics = np.empty((len(owned), BACKGROUND_COLUMNS), np.float32)
        known = self._find(len(owned))
        new = [form for (_, form), said in zip(owned, known, strict=True) if said is None]
        ways = iter(pronounce_forms(new, pronouncer))
        self._is_new = [said is None for said in known]
        self._forms = [
            make_form(entry, form.text, next(ways), form.kind, form.written)
            if said is None
            else Form(entry, form.text, said, form.kind, form.written)
            for (entry, form), said in zip(owned, known, strict=True)
        ]

    def ways(self, number: int) -> list[Pronunciation]:
        """The pronunciations of a form, symbol by symbol."""
        return [tuple(words_of_arpabet(way)) for way in self._forms[number].said]

    def measured(self, stays: Sequence[bool], background: Background) -> tuple[list[Form], NDArray[np.float32]]:
        """The forms that stay, and their statistics against background speech, float32[n, 4].

        Raises:
            IndexFolderError: the cache cannot be used.
        """
        new = [number for number, (is_new, stay) in enumerate(zip(self._is_new, stays, strict=True)) if is_new and stay]
        self._done(sum(stays) - len(new))
        forms = [self._forms[number] for number in new]
        self._statistics[new] = background_of(forms, background, self._cache, self._done)
        if self._cache is not None and new:
            self._cache.keep(_KIND, ((self._keys[number], self._packed(number)) for number in new))
        return list(itertools.compress(self._forms, stays)), self._statistics[np.array(stays, bool)]

    def _find(self, count: int) -> list[Said | None]:
        """Of each form the pronunciations that the cache knows; fills in their statistics."""
        known: list[Said | None] = [None] * count
        if self._cache is None:
            return known
        for found in self._cache.find(_KIND, self._keys):
            places: list[int] = []
            statistics: list[bytes] = []
            for place, value in found.values():
                if (said := _unpacked(value)) is not None:
                    known[place] = said
                    places.append(place)
                    statistics.append(value[:_STATISTICS_BYTES])
            rows = np.frombuffer(b"".join(statistics), np.float32)
            self._statistics[places] = rows.reshape(-1, BACKGROUND_COLUMNS)
        return known

    def _packed(self, number: int) -> bytes:
        """Statistics, then the pronunciations as text."""
        return bytes(self._statistics[number].data) + _BETWEEN.join(self._forms[number].said).encode()


def _unpacked(value: bytes) -> Said | None:
    """The pronunciations in a row; None where it is none of ours."""
    said = value[_STATISTICS_BYTES:]
    if len(value) < _STATISTICS_BYTES or said.translate(None, _LETTERS):
        return None
    return tuple(said.decode().split(_BETWEEN)) if said else ()


def _key(form: SpokenForm) -> bytes:
    """Of its text and of what the author says of its pronunciation."""
    return key_of(form.text, repr(form.given).encode()) if form.given else key_of(form.text)
