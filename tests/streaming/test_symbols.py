"""Words in the symbols of the alignment heads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.symbols import CHARACTERS, character_sequence


@given(st.lists(st.text("abcxyz'", min_size=1), min_size=1))
def test_characters_stand_between_bounds(words: list[str]) -> None:
    """Letter by letter the place of each in the alphabet, a bound before, between and after the words."""
    ids = character_sequence(words)
    assert ids.dtype == np.int16
    assert ids.tolist() == [CHARACTERS.index(s) for s in f"|{'|'.join(words)}|"]


@pytest.mark.parametrize("letter", ["ä", "A", " ", "\0", "\ud800", "中", "ÿ", "?"])
def test_a_letter_outside_the_alphabet_is_named(letter: str) -> None:
    """It is no other letter's, whatever its bytes are."""
    with pytest.raises(KeyError) as caught:
        character_sequence(["ab", f"c{letter}"])
    assert caught.value.args == (letter,)
