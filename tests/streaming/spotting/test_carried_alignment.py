"""Paths carried through a stream are those of scoring the whole stretch anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form
from streaming.spotting.alignment import AlignmentBank
from streaming.spotting.carried_alignment import WINDOW, CarriedAlignment
from streaming.spotting.form_bank import CarriedForms, FormBank, rounded_down
from streaming.symbols import BOUND, CHARACTERS, PHONEMES

VOCABULARY = 6
LEAST = -4.0


def _log_probs(seed: int, frames: int, vocabulary: int = VOCABULARY) -> NDArray[np.float32]:
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, vocabulary))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def _sequences(seed: int, count: int = 150, vocabulary: int = VOCABULARY) -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, vocabulary, length).astype(np.int16) for length in rng.integers(1, 9, count)]


@given(
    seed=st.integers(0, 9999),
    parts=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    newest=st.integers(0, 20),
    back=st.integers(0, 60),
    begin=st.integers(-200, 200),
)
def test_carried_paths_are_those_of_one_pass(seed: int, parts: list[int], newest: int, back: int, begin: int) -> None:
    """Parted in any way, with newest frames that are not kept, scores and ends are the same to the last bit."""
    bank = AlignmentBank(_sequences(seed), VOCABULARY)
    stretch = _log_probs(seed, sum(parts))
    carried = CarriedAlignment(bank, LEAST)
    carried.begin(begin)
    first = 0
    for part in parts:
        carried.carry(stretch[first : first + part], reach=100)
        first += part
        # What is asked in between leaves no trace.
        provisional = _log_probs(seed + part, newest)
        found = carried.score(provisional, begin + first + newest - back)
    whole = np.concatenate([stretch, provisional])
    first_end = max(0, (begin + len(whole) - back) // WINDOW * WINDOW - begin)
    expected = bank.score(whole, min(first_end, len(whole)), np.full(len(bank.lengths), LEAST, np.float32))
    assert np.array_equal(found.score, expected.score)
    there = ~np.isneginf(expected.score)
    assert np.array_equal(found.end[there] - begin, expected.end[there])


def test_ends_further_back_are_forgotten() -> None:
    """What is remembered of a stream does not grow with it."""
    carried = CarriedAlignment(AlignmentBank(_sequences(0), VOCABULARY), LEAST)
    sizes = []
    for part in range(40):
        carried.carry(_log_probs(part, 16), reach=64)
        sizes.append(carried.nbytes)
    assert sizes[10] == sizes[-1]


def _context(stream: EncodedContext, first: int, stop: int, final: int, stretch: int | None) -> EncodedContext:
    part = EncodedContext(stream.characters[first:stop], stream.phonemes[first:stop], stream.frames[first:stop])
    return part.carried(final, stretch)


def _forms() -> list[Form]:
    letters, sounds = _sequences(1, 40, len(CHARACTERS)), _sequences(2, 80, len(PHONEMES))
    texts = ["".join(" " if i == BOUND else CHARACTERS[i] for i in ids) for ids in letters]
    said = [" ".join(PHONEMES[i] for i in ids) for ids in sounds]
    return [Form(i, texts[i], tuple(said[2 * i : 2 * i + i % 3])) for i in range(40)]


def _stream(seed: int, frames: int) -> EncodedContext:
    heads = _log_probs(seed, frames, len(CHARACTERS)), _log_probs(seed + 1, frames, len(PHONEMES))
    return EncodedContext(*heads, np.zeros((frames, 1), np.float32))


def _same(found: NDArray[np.generic], expected: NDArray[np.generic]) -> bool:
    return bool(np.array_equal(found, expected))


@pytest.mark.parametrize(("final", "stretch"), [(0, None), (0, 1), (30, 1), (44, 1)])
@pytest.mark.parametrize("hop", [5, 16, 44])
def test_forms_are_found_as_in_the_whole_stretch(final: int, stretch: int | None, hop: int) -> None:
    """Contexts of 60 frames, a hop apart: of each the paths since the stretch began, both heads, ends in its rows."""
    stream, bank, floor = _stream(3, 300), FormBank(_forms()), -8.0
    carried = CarriedForms(bank, floor)
    for first in range(0, 240, hop):
        found = carried.score(_context(stream, first, first + 60, final, stretch), first, 40)
        # Of a stretch without final frames nothing can be carried: each context stands by itself.
        begin = 0 if final >= hop else first
        expected = bank.score(_context(stream, begin, first + 60, 0, None), first - begin + rounded_down(first, 40))
        good = expected.mean > floor
        assert good.any()
        assert _same(found.characters[good], expected.characters[good])
        assert _same(found.phonemes[good], expected.phonemes[good])
        assert _same(found.character_end[good], expected.character_end[good] - (first - begin))
        assert _same(found.phoneme_end[good], expected.phoneme_end[good] - (first - begin))
        assert _same(found.winner[good], expected.winner[good])


def test_another_stretch_begins_anew() -> None:
    """After a gap, or where the encoder began anew, nothing of what was heard before counts."""
    stream, bank = _stream(5, 300), FormBank(_forms())
    for later, stretch in ((16, 2), (200, 1), (16, None)):
        carried = CarriedForms(bank, -8.0)
        carried.score(_context(stream, 0, 60, 44, 1), 0, 40)
        found = carried.score(_context(stream, later, later + 60, 44, stretch), later, 40)
        alone = CarriedForms(bank, -8.0).score(_context(stream, later, later + 60, 0, None), later, 40)
        assert _same(found.mean, alone.mean)
