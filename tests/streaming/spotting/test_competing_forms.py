"""Forms that were found on the same stretch: one that lies within another, one that goes with the words around."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Entry, make_form
from streaming.spotting.competing_forms import CompetingForms
from streaming.spotting.evidence import Evidence
from streaming.symbols import BLANK, PHONEMES, phoneme_sequence
from streaming.term_index import TermIndex
from streaming.words.bigrams import Bigrams
from streaming.words.competition import Competition
from streaming.words.lexicon import Lexicon
from streaming.words.rivals import CompetitionConfig
from tests.streaming.spoken_forms import FRAMES

SAID = {
    "yesterday": ("Y", "EH", "S", "T", "ER", "D", "EY"),
    "today": ("T", "AH", "D", "EY"),
    "day": ("D", "EY"),
    "the": ("DH", "AH"),
    "dey": ("D", "EY"),
    "moon": ("M", "UW", "N"),
}
WORDS = tuple(SAID)
START, STEP = 45, 3


def _competition() -> Competition:
    """Words of one probability, but "the" is seldom followed by anything but "day"."""
    count, the, day = len(WORDS), WORDS.index("the"), WORDS.index("day")
    first = np.zeros(count + 1, np.int32)
    first[the + 1 :] = 1
    backoff = np.where(np.arange(count) == the, -5.0, 0.0).astype(np.float32)
    unigram = np.full(count, -1.0, np.float32)
    model = Bigrams(unigram, backoff, first, np.array([day], np.int32), np.array([-0.1], np.float32))
    spoken = tuple((i, phoneme_sequence([SAID[word]])[1:-1]) for i, word in enumerate(WORDS))
    return Competition(Lexicon(WORDS, spoken, model), CompetitionConfig(beam=1e3))


COMPETITION = _competition()


def _index(*terms: str) -> TermIndex:
    forms = [make_form(i, term, [[SAID[word] for word in term.split(" ")]]) for i, term in enumerate(terms)]
    entries = [Entry(f"e{i}", term, {}) for i, term in enumerate(terms)]
    background: NDArray[np.float32] = np.zeros((len(terms), 4), np.float32)
    return TermIndex(entries, forms, np.eye(len(terms), dtype=np.float32), background, "x", "v1")


def _heard(text: str) -> EncodedContext:
    """Words said by their phonemes, each sure for one frame of three."""
    probabilities = np.full((FRAMES, len(PHONEMES)), 1e-4)
    probabilities[:, BLANK] = 1.0
    for n, symbol in enumerate(phoneme_sequence([SAID[word] for word in text.split(" ")]).tolist()):
        probabilities[START + STEP * n, [BLANK, symbol]] = 1e-4, 1.0
    log_probs = np.log(probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    return EncodedContext(np.zeros((FRAMES, 0), np.float32), log_probs, np.zeros((FRAMES, 0), np.float32))


def _compete(heard: str, **place: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Features of terms that were found between the n-th and the m-th symbol (bounds count) of what was heard."""
    terms = [term.replace("_", " ") for term in place]
    found = [
        Evidence(i, START + STEP * first, START + STEP * last, {"characters": -1.0, "phonemes": -1.0})
        for i, (first, last) in enumerate(place.values())
    ]
    CompetingForms(COMPETITION, _index(*terms), -2.0).compete(_heard(heard), found, 0, 0)
    return {term: one.features for term, one in zip(terms, found, strict=True)}


def test_a_term_within_another_that_fits_better_is_under_it() -> None:
    """What was heard is "yesterday": "today" loses to it, though the two share less than half of their union."""
    found = _compete("yesterday", yesterday=(0, 8), today=(4, 8))
    assert found["today"]["over_neighbour"] == 10.0
    assert found["today"]["over_covering"] == pytest.approx(-10.0)
    assert (found["yesterday"]["over_covering"], found["yesterday"]["over_neighbour"]) == (0.0, 10.0)


def test_a_term_within_another_that_fits_worse_loses_nothing() -> None:
    """What was heard is "today": "yesterday", found over it, does not speak against it."""
    found = _compete("today", yesterday=(0, 5), today=(0, 5))
    assert found["today"]["over_covering"] == 0.0
    assert found["today"]["over_neighbour"] > 0 > found["yesterday"]["over_neighbour"]


def test_a_part_of_a_longer_term_is_no_rival_of_it() -> None:
    """Both "day" and "the day" can have been said."""
    found = _compete("the day", day=(3, 6), the_day=(0, 6))
    assert [one["over_covering"] for one in found.values()] == [0.0, 0.0]
    assert [one["over_neighbour"] for one in found.values()] == [10.0, 10.0]


def test_of_two_that_sound_the_same_the_words_around_choose() -> None:
    """After "the" stands "day": of the same sound "dey" is under it by what the language model says."""
    found = _compete("the day", day=(3, 6), dey=(3, 6))
    fits = [found[term]["fit_around"] for term in ("day", "dey")]
    assert fits[0] == pytest.approx((1.0 - 0.1) / 2, abs=0.01)
    # That "the" was not said at all costs less than "the dey".
    assert -2.5 < fits[1] < -1.0
    assert found["day"]["over_neighbour"] == pytest.approx(fits[0] - fits[1])
    assert found["dey"]["over_covering"] == pytest.approx(-found["day"]["over_neighbour"])
    assert found["day"]["commonness"] == found["dey"]["commonness"] == -1.0


def test_what_fits_too_badly_to_compete_knows_no_words_around() -> None:
    """It has lost, and takes nothing from others."""
    found = [
        Evidence(i, START, START + 15, {"characters": mean, "phonemes": mean}) for i, mean in ((0, -1.0), (1, -3.0))
    ]
    CompetingForms(COMPETITION, _index("day", "dey"), -2.0).compete(_heard("the day"), found, 0, 0)
    assert found[1].features == {"characters": -3.0, "phonemes": -3.0, "over_rivals": -12.5}
    assert found[0].features["over_neighbour"] == 10.0


def test_forms_are_judged_alike_in_any_order() -> None:
    """The features of a form do not depend on where it stands among those found."""
    places = {"day": (3, 6), "dey": (3, 6), "yesterday": (1, 6)}
    one = _compete("the day", **places)
    other = _compete("the day", **dict(reversed(places.items())))
    assert one == other
