"""Both heads' alignment of many spoken forms: letters by the characters, each pronunciation by the phonemes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form
from streaming.spotting.alignment import AlignmentBank, EndScores
from streaming.spotting.carried_alignment import WINDOW, CarriedAlignment
from streaming.spotting.carrying import Carried
from streaming.symbols import CHARACTERS, PHONEMES

_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class FormScores:
    """The best paths of n forms: float32[n] scores a symbol, int64[n] the frames of their ends.

    `winner` int64[n] is the pronunciation that won, -1 where there is none and the letters count for both. Of a form
    whose mean score lies under the floor asked for, one score may be minus infinity.
    """

    characters: NDArray[np.float32]
    character_end: NDArray[np.int64]
    phonemes: NDArray[np.float32]
    phoneme_end: NDArray[np.int64]
    winner: NDArray[np.int64]

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean score of both heads."""
        return (self.characters + self.phonemes) * np.float32(0.5)


class FormBank:
    """The alignment banks of both heads over the same forms; stateless, so that many streams may share it."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self.characters = AlignmentBank([f.characters for f in forms], len(CHARACTERS))
        spoken = [(row, p) for row, form in enumerate(forms) for p in form.pronunciations]
        self.phonemes = AlignmentBank([p for _, p in spoken], len(PHONEMES))
        rows = np.array([row for row, _ in spoken], np.int64)
        # Of the forms that have any: their rows, their first pronunciations; and whose each pronunciation is.
        self._rows, self._starts = np.unique(rows, return_index=True)
        self._owners = np.repeat(np.arange(len(self._rows)), np.diff([*self._starts, len(rows)]))

    def score(self, encoded: EncodedContext, first_end: int, floor: float | None = None) -> FormScores:
        """The paths within one context that end from frame `first_end` on."""
        # No score is above 0: what one head leaves of the floor, the other must reach.
        both = None if floor is None else 2 * floor - _ROUNDING
        least = None if both is None else np.full(len(self.characters.lengths), both, np.float32)
        by_characters = self.characters.score(encoded.characters, first_end, least)
        if both is not None:
            left = both - np.maximum(by_characters.score, both)
            least = left[self._rows][self._owners].astype(np.float32)
        return self.joined(by_characters, self.phonemes.score(encoded.phonemes, first_end, least))

    def joined(self, by_characters: EndScores, by_phonemes: EndScores) -> FormScores:
        """Of each form the letters and the best pronunciation."""
        phoneme_score, phoneme_end = by_characters.score.copy(), by_characters.end.copy()
        winner = np.full(len(phoneme_score), -1, np.int64)
        if len(self._rows):
            best = np.maximum.reduceat(by_phonemes.score, self._starts)
            ties = np.flatnonzero(by_phonemes.score == best[self._owners])
            # The first of each form.
            chosen = ties[np.diff(self._owners[ties], prepend=-1) > 0]
            phoneme_score[self._rows], phoneme_end[self._rows] = best, by_phonemes.end[chosen]
            winner[self._rows] = chosen - self._starts
        return FormScores(by_characters.score, by_characters.end, phoneme_score, phoneme_end, winner)


class CarriedForms:
    """The paths of all forms of a bank through one stream.

    What is found in a context are the paths since the stretch began, as if all of it were scored anew.
    """

    def __init__(self, bank: FormBank, floor: float) -> None:
        self._bank, self._floor = bank, floor
        # No score is above 0, so a form below this in one head is below the floor in both together.
        least = 2 * floor - _ROUNDING
        self._heads = (CarriedAlignment(bank.characters, least), CarriedAlignment(bank.phonemes, least))
        self._carried = Carried()

    @property
    def nbytes(self) -> int:
        """Memory of what is remembered."""
        return sum(head.nbytes for head in self._heads)

    def reset(self) -> None:
        """Forget the stream."""
        self._carried = Carried()

    def score(self, encoded: EncodedContext, first_frame: int, first_end: int) -> FormScores:
        """The paths that end from row `first_end` of a context on, which begins at frame `first_frame` of the stream.

        The row is rounded down to one whose frame is a multiple of `carried_alignment.WINDOW`.
        """
        if encoded.stretch is None:
            # What no later context goes on from is soonest done with by itself.
            return self._bank.score(encoded, rounded_down(first_frame, first_end), self._floor)
        if not self._carried.goes_on(encoded, first_frame):
            self._carried.begin(encoded, first_frame)
            for head in self._heads:
                head.begin(first_frame)
        new = self._carried.new_rows(encoded, first_frame)
        rest = slice(new.stop, None)
        by_head = []
        for head, log_probs in zip(self._heads, (encoded.characters, encoded.phonemes), strict=True):
            head.carry(log_probs[new], len(log_probs))
            found = head.score(log_probs[rest], first_frame + first_end)
            by_head.append(EndScores(found.score, found.end - first_frame))
        self._carried.move(new)
        return self._bank.joined(*by_head)


def rounded_down(first_frame: int, row: int) -> int:
    """The row from which ends really count, where those from a row of a context on are asked for; at least 0."""
    return max(0, (first_frame + row) // WINDOW * WINDOW - first_frame)
