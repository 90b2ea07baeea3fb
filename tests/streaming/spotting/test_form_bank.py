"""Both heads' alignment of forms: the best pronunciation counts, and giving up early changes nothing."""

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form
from streaming.spotting.alignment import AlignmentBank
from streaming.spotting.form_bank import FormBank, FormScores
from streaming.symbols import CHARACTERS, PHONEMES
from tests.streaming.spoken_forms import (
    random_log_probs,
)


@given(
    seed=st.integers(0, 9999),
    ways=st.lists(st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=4), max_size=3), min_size=1, max_size=6),
)
def test_form_scores_as_the_best_of_its_pronunciations(seed: int, ways: list[list[list[int]]]) -> None:
    """With forms of none to three pronunciations mixed, each one's best counts; without any, the letters do."""
    forms = [
        Form(row, CHARACTERS[2 + row], tuple(" ".join(PHONEMES[i] for i in way) for way in each))
        for row, each in enumerate(ways)
    ]
    encoded = EncodedContext(
        random_log_probs(seed, len(CHARACTERS)), random_log_probs(seed + 1, len(PHONEMES)), np.zeros((40, 1), "f4")
    )
    found = FormBank(forms).score(encoded, 5)
    for row, form in enumerate(forms):
        letters = AlignmentBank([form.characters], len(CHARACTERS)).score(encoded.characters, 5)
        assert (found.characters[row], found.character_end[row]) == (letters.score[0], letters.end[0])
        by_phonemes = (found.phonemes[row], found.phoneme_end[row], found.winner[row])
        if not form.pronunciations:
            assert by_phonemes == (found.characters[row], found.character_end[row], -1)
            continue
        alone = [AlignmentBank([p], len(PHONEMES)).score(encoded.phonemes, 5) for p in form.pronunciations]
        best = max(range(len(alone)), key=lambda i: float(alone[i].score[0]))
        assert by_phonemes == (alone[best].score[0], alone[best].end[0], best)


@given(
    seed=st.integers(0, 9999),
    ways=st.lists(st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=4), max_size=3), min_size=1, max_size=6),
    floor=st.floats(-6, 0),
)
def test_forms_above_the_floor_score_the_same_with_it(seed: int, ways: list[list[list[int]]], floor: float) -> None:
    """Giving up on forms under the floor changes nothing of those above it, and lifts none of those under it."""
    bank = FormBank(
        [
            Form(row, CHARACTERS[2 + row], tuple(" ".join(PHONEMES[i] for i in way) for way in each))
            for row, each in enumerate(ways)
        ]
    )
    encoded = EncodedContext(
        random_log_probs(seed, len(CHARACTERS)), random_log_probs(seed + 1, len(PHONEMES)), np.zeros((40, 1), "f4")
    )
    whole, early = bank.score(encoded, 5), bank.score(encoded, 5, floor)
    above = whole.mean > floor
    for field in fields(FormScores):
        assert np.array_equal(getattr(whole, field.name)[above], getattr(early, field.name)[above])
    assert not np.any(early.mean[~above] > floor)
