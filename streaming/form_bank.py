"""Both heads' alignment of many spoken forms: letters by the characters, each pronunciation by the phonemes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.alignment import AlignmentBank
from streaming.encoded_context import EncodedContext
from streaming.entries import Form
from streaming.symbols import CHARACTERS, PHONEMES

_ROUNDING = 1e-3


class FormBank:
    """The alignment banks of both heads over the same forms."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self._characters = AlignmentBank([f.characters for f in forms], len(CHARACTERS))
        spoken = [(row, p) for row, form in enumerate(forms) for p in form.pronunciations]
        self._phonemes = AlignmentBank([p for _, p in spoken], len(PHONEMES))
        rows = np.array([row for row, _ in spoken], np.int64)
        self._rows, self._starts = np.unique(rows, return_index=True)
        self._counts = np.diff([*self._starts, len(rows)])

    def score(
        self, encoded: EncodedContext, first_end: int, floor: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Per form: character score and end, phoneme score and end, the pronunciation that won (-1: there is none).

        Of a form whose mean score lies under `floor` one score may be minus infinity.
        """
        # No score is above 0: what one head leaves of the floor, the other must reach.
        both = None if floor is None else 2 * floor - _ROUNDING
        least = None if both is None else np.full(len(self._characters.lengths), both)
        by_characters = self._characters.score(encoded.characters, first_end, least)
        phoneme_score, phoneme_end = by_characters.score.copy(), by_characters.end.copy()
        winner = np.full(len(phoneme_score), -1, np.int64)
        if len(self._rows):
            if both is not None:
                left = both - np.maximum(by_characters.score, both)
                least = np.repeat(left[self._rows], self._counts)
            by_phonemes = self._phonemes.score(encoded.phonemes, first_end, least)
            best = np.maximum.reduceat(by_phonemes.score, self._starts)
            is_best = by_phonemes.score == np.repeat(best, self._counts)
            position = np.flatnonzero(is_best)
            owner = np.repeat(np.arange(len(self._rows)), self._counts)[position]
            _, first = np.unique(owner, return_index=True)
            chosen = position[first]
            phoneme_score[self._rows], phoneme_end[self._rows] = best, by_phonemes.end[chosen]
            winner[self._rows] = chosen - self._starts
        return by_characters.score, by_characters.end, phoneme_score, phoneme_end, winner
