"""Spoken forms with their pronunciations and statistics: what the cache knows of a form comes in one look.

Without these rows each form would cost a look at each of its words, a combination of what they give, and a look for the
statistics of the result: after a small edit of a large glossary that is most of the work.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_builder.form_stages import Background, Done, background_of
from index_builder.pronounce import Pronouncer, Pronunciation, SpokenForm, pronounce_forms
from index_builder.vector_cache import FormCache, key_of
from streaming.entries import arpabet, make_form
from streaming.symbols import character_sequence
from streaming.term_index import BACKGROUND_COLUMNS, Form

_KIND = "said"
_STATISTICS_BYTES = BACKGROUND_COLUMNS * np.dtype(np.float32).itemsize
_ROWS_AT_ONCE = 4096

Sequences: TypeAlias = tuple[NDArray[np.int16], ...]


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
        known = dict(self._find())
        new = [form for number, (_, form) in enumerate(owned) if number not in known]
        ways = iter(pronounce_forms(new, pronouncer))
        self._is_new = [number not in known for number in range(len(owned))]
        self._forms = [
            make_form(entry, form.text, next(ways), form.kind, form.written)
            if (said := known.get(number)) is None
            else Form(entry, form.text, character_sequence(form.text.split(" ")), said, form.kind, form.written)
            for number, (entry, form) in enumerate(owned)
        ]

    def ways(self, number: int) -> list[Pronunciation]:
        """The pronunciations of a form, symbol by symbol."""
        return [
            tuple(tuple(word.split()) for word in arpabet(ids).split(" | "))
            for ids in self._forms[number].pronunciations
        ]

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

    def _find(self) -> Iterator[tuple[int, Sequences]]:
        """The numbers of the forms that the cache knows, with their pronunciations; fills in their statistics."""
        if self._cache is None:
            return
        found = self._cache.find(_KIND, self._keys)
        while some := list(itertools.islice(found, _ROWS_AT_ONCE)):
            sound = [(number, value, said) for number, value in some if (said := _unpacked(value)) is not None]
            numbers = [number for number, _, _ in sound]
            statistics = b"".join([value[:_STATISTICS_BYTES] for _, value, _ in sound])
            self._statistics[numbers] = np.frombuffer(statistics, np.float32).reshape(-1, BACKGROUND_COLUMNS)
            yield from ((number, said) for number, _, said in sound)

    def _packed(self, number: int) -> bytes:
        """Statistics, then each pronunciation behind the number of its symbols."""
        said = self._forms[number].pronunciations
        parts = [part for ids in said for part in (np.int16(len(ids)).tobytes(), ids.tobytes())]
        return b"".join([self._statistics[number].tobytes(), *parts])


def _unpacked(value: bytes) -> Sequences | None:
    """The pronunciations in a row; None where it is none of ours."""
    if len(value) < _STATISTICS_BYTES or len(value) % 2:
        return None
    ids = np.frombuffer(value, np.int16, -1, _STATISTICS_BYTES)
    lengths, said, start = memoryview(value)[_STATISTICS_BYTES:].cast("h"), [], 0
    while start < len(lengths):
        end = start + 1 + lengths[start]
        if not start + 1 < end <= len(lengths):
            return None
        said.append(ids[start + 1 : end])
        start = end
    return tuple(said)


def _key(form: SpokenForm) -> bytes:
    """Of its text and of what the author says of its pronunciation."""
    return key_of(form.text, repr(form.given).encode()) if form.given else key_of(form.text)
