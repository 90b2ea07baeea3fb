from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.verification_pairs import (
    PairConfig,
    Phones,
    PhraseBank,
    TimedWord,
    all_ways,
    best_way,
    draw_trials,
    segments_of,
)

# Each letter is a phone, so that distances can be read off the spelling; "knight" sounds like "night".
SPOKEN = "the quick river bends around seven golden hills before night falls across quiet meadows".split()
REPLACING = ("liver", "seben", "quiz", "hollow", "knight", "fools", "mute")
LEXICON: dict[str, list[Phones]] = {word: [tuple(word)] for word in (*SPOKEN, *REPLACING)} | {
    "knight": [tuple("nigt"), tuple("night")],
    "mute": [],
}


def timed(words: list[str], start: float = 0.0) -> list[TimedWord]:
    """Words of half a second, one after the other."""
    return [(word, start + i / 2, start + (i + 1) / 2) for i, word in enumerate(words)]


def slow_distance(a: Phones, b: Phones) -> int:
    """The definition of the edit distance, by recursion over a table of all prefixes."""
    table = {(i, j): i + j for i in range(len(a) + 1) for j in range(len(b) + 1) if i == 0 or j == 0}
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (x != y))
    return table[len(a), len(b)]


@given(st.text("abc", min_size=1, max_size=6), st.lists(st.text("abcd", min_size=1, max_size=7), max_size=5))
def test_distances_are_those_of_one_pair_at_a_time(said: str, texts: list[str]) -> None:
    """The bank's distances equal a slow table of prefixes for each text, phones unknown to the bank among them."""
    bank = PhraseBank(texts, {text: [tuple(text)] for text in texts})
    assert bank.distances(tuple(said)).tolist() == [slow_distance(tuple(said), tuple(text)) for text in texts]


def test_every_choice_of_pronunciations_is_a_way() -> None:
    """A phrase is said in as many ways as its words' pronunciations combine; the first of each make the best."""
    lexicon: dict[str, list[Phones]] = {"a": [("EY",), ("AH",)], "tomato": [("T", "M", "EY"), ("T", "M", "AA")]}
    assert best_way("a tomato", lexicon) == ("EY", "T", "M", "EY")
    assert len(all_ways("a tomato", lexicon)) == 4


def test_segments_are_unbroken_and_each_text_comes_once() -> None:
    """No segment spans a pause or holds a word without pronunciation; short texts and repeats are left out."""
    words = timed(["the", "river", "mute", "seven", "hills"]) + timed(["the", "river"], 3.0)
    segments = segments_of(words, LEXICON, PairConfig())
    assert [s.text for s in segments] == ["river", "seven", "hills", "the river", "seven hills"]
    assert segments[-1].around == "mute seven hills the"
    assert (segments[0].start, segments[0].end) == (0.5, 1.0)
    assert "hills the" not in {s.text for s in segments}  # half a second lies between them


def test_pause_before_a_word_is_no_part_of_it() -> None:
    """A word that a reference begins too early is cut to its phones' length, and no segment joins it to the last."""
    words = [("golden", 0.0, 0.5), ("hills", 0.5, 3.0)]
    segments = segments_of(words, LEXICON, PairConfig())
    assert [s.text for s in segments] == ["golden", "hills"]
    assert segments[1].start == pytest.approx(3.0 - 0.15 - 5 * 0.14)


def test_long_segments_are_left_out() -> None:
    """A segment must fit into the context that is heard."""
    segments = segments_of(timed(["seven", "golden", "hills"]), LEXICON, PairConfig(longest_s=1.0))
    assert max(len(s.text.split()) for s in segments) == 2


def test_negatives_keep_the_rules() -> None:
    """Easy texts are far and of like length, hard ones near; none was said there or sounds the same."""
    config = PairConfig(near=0.4, far=0.7)
    trials = draw_trials(timed(SPOKEN), LEXICON, 30, config)
    assert {len(t.segment.text.split()) for t in trials} == {1, 2, 3}
    for trial in trials:
        said, easy, hard = (best_way(text, LEXICON) for text in trial.texts)
        assert slow_distance(said, easy) >= 0.7 * max(len(said), len(easy))
        assert abs(len(said) - len(easy)) <= max(1, len(said) / 4)
        assert 1 <= slow_distance(said, hard) <= max(1, int(0.4 * len(said)))
        assert len({len(text.split()) for text in trial.texts}) == 1
        for text in (trial.easy, trial.hard):
            assert text not in trial.segment.around
            assert all_ways(text, LEXICON).isdisjoint(all_ways(trial.segment.text, LEXICON))


def test_homophones_and_short_words_replace_nothing() -> None:
    """As one way to say "knight" is "night", it is no other word; and "the" is not exchanged."""
    hard = {t.segment.text: t.hard for t in draw_trials(timed(SPOKEN), LEXICON, 60, PairConfig(least_replaced=4))}
    assert "night" not in hard
    only_best = LEXICON | {"knight": LEXICON["knight"][:1]}
    assert {t.segment.text: t.hard for t in draw_trials(timed(SPOKEN), only_best, 60)}["night"] == "knight"
    assert hard["the quick river"] in {"the quick liver", "the quiz river"}


def test_trials_are_seeded_balanced_and_in_the_order_of_time() -> None:
    """The same seed draws the same trials, another seed others; sizes share the count."""
    trials = draw_trials(timed(SPOKEN), LEXICON, 6, PairConfig(seed=1, near=0.5))
    assert trials == draw_trials(timed(SPOKEN), LEXICON, 6, PairConfig(seed=1, near=0.5))
    assert trials != draw_trials(timed(SPOKEN), LEXICON, 6, PairConfig(seed=2, near=0.5))
    assert np.bincount([len(t.segment.text.split()) for t in trials]).tolist() == [0, 2, 2, 2]
    assert all(a.segment.start <= b.segment.start for a, b in pairwise(trials))
