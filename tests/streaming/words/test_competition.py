"""A term wins where it fits better than all else that could have been said, and loses where it does not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form, make_form
from streaming.symbols import BLANK, CHARACTERS, PHONEMES, character_sequence, phoneme_sequence
from streaming.words.bigrams import Bigrams
from streaming.words.competition import Competition
from streaming.words.lexicon import UNKNOWN, Lexicon
from streaming.words.readings import fit_around
from streaming.words.rivals import CompetitionConfig
from streaming.words.word_ends import NEVER, NO_WORD, Ends

FRAMES = 150
SAID = {
    "extension": ("EH", "K", "S", "T", "EH", "N", "SH", "AH", "N"),
    "be": ("B", "IY"),
    "sick": ("S", "IH", "K"),
    "in": ("IH", "N"),
    "thicker": ("TH", "IH", "K", "ER"),
}
TERMS = {
    "extend": ("EH", "K", "S", "T", "EH", "N", "D"),
    "thicken": ("TH", "IH", "K", "AH", "N"),
    "sickle": ("S", "IH", "K", "AH", "L"),
}


def _lexicon() -> Lexicon:
    words = tuple(SAID)
    pronunciations = tuple((i, phoneme_sequence([SAID[w]])[1:-1]) for i, w in enumerate(words))
    count = len(words)
    model = Bigrams(
        np.full(count, -6.0, np.float32),
        np.zeros(count, np.float32),
        np.zeros(count + 1, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.float32),
    )
    return Lexicon(words, pronunciations, model)


COMPETITION = Competition(_lexicon(), CompetitionConfig(beam=1e3))


def _form(text: str) -> Form:
    return make_form(0, text, [[{**SAID, **TERMS}[word] for word in text.split(" ")]])


def _heard(text: str, start: int = 45) -> EncodedContext:
    """A context in which words are said, each symbol sure for one frame of three."""
    sequences = (character_sequence(text.split(" ")), phoneme_sequence([{**SAID, **TERMS}[w] for w in text.split(" ")]))
    heads = []
    for sequence, symbols in zip(sequences, (CHARACTERS, PHONEMES), strict=True):
        probabilities = np.full((FRAMES, len(symbols)), 1e-4)
        probabilities[:, BLANK] = 1.0
        for frame, symbol in zip(range(start, FRAMES, 3), sequence.tolist(), strict=False):
            probabilities[frame, [BLANK, symbol]] = 1e-4, 1.0
        heads.append(np.log(probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32))
    return EncodedContext(heads[0], heads[1], np.zeros((FRAMES, 4), np.float32))


def _ratio(term: str, heard: str) -> float:
    words, said = COMPETITION.words_of(term), _form(term).pronunciations
    return COMPETITION.ratio(COMPETITION.hear(_heard(heard)), said, words, (0, FRAMES - 1), 0).over_rivals


def test_a_term_that_was_said_wins() -> None:
    """It beats every sequence of common words, also where the lexicon itself holds its words."""
    for term in ("extend", "thicken", "extension", "be sick"):
        assert _ratio(term, term) > 3, term
        assert _ratio(term, f"in {term} in") > 3, term


def test_a_term_inside_a_longer_word_loses() -> None:
    """A common word that explains the same frames beats it."""
    assert _ratio("extend", "in extension be") < 0


def test_rivals_need_not_begin_where_the_term_does() -> None:
    """Words over whose bounds the term would lie are rivals too."""
    assert _ratio("thicken", "be sick in be") < 0


def test_the_terms_own_words_are_no_rivals() -> None:
    """A term of common words does not lose to itself; one word of it alone does not help it."""
    assert _ratio("sick in", "be sick in be") > 3
    assert _ratio("be sick", "in sick in") < 0


def test_a_wildly_cut_context_still_has_a_reading() -> None:
    """Scores are finite where nothing but noise was heard."""
    heard = COMPETITION.hear(_noise(0, FRAMES))
    ratio = COMPETITION.ratio(heard, _form("extend").pronunciations, COMPETITION.words_of("extend"), (0, FRAMES - 1), 0)
    assert np.isfinite([ratio.over_rivals, ratio.reading]).all()
    assert abs(ratio.over_rivals) < 1e4


def test_unknown_words_are_told_apart_from_known_ones() -> None:
    """Words of a form are looked up one by one."""
    assert COMPETITION.words_of("be extend").tolist() == [list(SAID).index("be"), UNKNOWN]


def _noise(seed: int, frames: int) -> EncodedContext:
    rng = np.random.default_rng(seed)
    heads: list[NDArray[np.float32]] = []
    for size in (len(CHARACTERS), len(PHONEMES)):
        logits = rng.normal(0, 3, (frames, size))
        heads.append((logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32))
    return EncodedContext(heads[0], heads[1], np.zeros((frames, 4), np.float32))


def _cut(stream: EncodedContext, first: int, stop: int) -> EncodedContext:
    return EncodedContext(stream.characters[first:stop], stream.phonemes[first:stop], stream.frames[first:stop])


@pytest.mark.parametrize("hop", [7, 16, 40])
def test_what_was_heard_is_carried_on(hop: int) -> None:
    """Hop by hop, readings of a context are those of hearing the whole stretch at once, to the last bit."""
    stream, frames, final = _noise(1, 400), 100, 80
    competition = Competition(_lexicon())
    rivals = competition.open()
    for first in range(0, 300, hop):
        context = _cut(stream, first, first + frames).carried(final, 1)
        rivals.carry(context, first)
        back_to = 30
        found = rivals.hear(context, first, back_to)
        whole = competition.hear(_cut(stream, 0, first + frames))
        for before, all_before in ((found.before, whole.before), (found.bounds, whole.bounds)):
            assert np.array_equal(before.score, all_before.score[-len(before.score) :])
            assert np.array_equal(before.word, all_before.word[-len(before.word) :])
            known = before.word != NO_WORD
            assert np.array_equal((before.start + first)[known], all_before.start[-len(before.start) :][known])
        assert np.array_equal(found.after.score, whole.after.score[: frames - back_to + 1])
        assert np.array_equal(found.after.word, whole.after.word[: frames - back_to + 1])


def test_rivals_of_another_stretch_know_nothing_of_the_one_before() -> None:
    """After a silence the words before it neither help nor harm."""
    competition = Competition(_lexicon())
    rivals, fresh = competition.open(), competition.open()
    rivals.carry(_noise(2, 100).carried(80, 1), 0)
    later = _noise(3, 100).carried(80, 2)
    for each in (rivals, fresh):
        each.carry(later, 300)
    one, other = rivals.hear(later, 300), fresh.hear(later, 300)
    assert np.array_equal(one.before.score, other.before.score)
    assert np.array_equal(one.bounds.score, other.bounds.score)


def _in_order() -> Competition:
    """The same words, of which "in" comes before "sick" a hundred times as often as elsewhere, and before nothing else."""
    ids = {word: index for index, word in enumerate(SAID)}
    first = np.zeros(len(SAID) + 1, np.int32)
    first[ids["in"] + 1 :] = 1
    model = Bigrams(
        np.full(len(SAID), -1.0, np.float32),
        np.where(np.arange(len(SAID)) == ids["in"], -3.0, 0.0).astype(np.float32),
        first,
        np.array([ids["sick"]], np.int32),
        np.array([np.log(100) - 1.0], np.float32),
    )
    return Competition(Lexicon(tuple(SAID), _lexicon().pronunciations, model), CompetitionConfig(beam=1e3))


@pytest.mark.parametrize(
    ("heard", "term", "fit"),
    [
        ("be in sick be", "sick", np.log(100) / 2),
        ("be thicker sick be", "sick", 0.0),
        ("be in extend be", "extend", 0.0),
        ("be in sick be", "in", np.log(100) / 2),
        ("in extension be", "extension", -1.5),
    ],
)
def test_a_term_goes_with_the_words_around_it_or_does_not(heard: str, term: str, fit: float) -> None:
    """Half a nat of the language model counts as much as there; a word that the lexicon lacks goes with all."""
    competition = _in_order()
    context = competition.hear(_heard(heard))
    words = competition.words_of(term)
    span = competition.ratio(context, _form(term).pronunciations, words, (0, FRAMES - 1), 0).span
    assert span is not None
    assert competition.fit_around(context, span, words) == pytest.approx(fit, abs=0.01)


def test_common_terms_are_told_from_rare_ones() -> None:
    """The mean of its words, each after the one before it; what the lexicon lacks is rarer than all it has."""
    competition = _in_order()
    found = [competition.commonness(competition.words_of(term)) for term in ("in sick", "be sick", "extend")]
    assert found == pytest.approx([np.log(100) / 2 - 1.0, -1.0, -13.0])


@pytest.mark.parametrize("seed", range(20))
def test_the_words_around_are_the_best_of_all_that_were_kept(seed: int) -> None:
    """Of every pair of a word before and one after, by going through all of them; wild values are bounded."""
    rng = np.random.default_rng(seed)
    frames, keep, count = 12, 4, 6
    first = np.concatenate([[0], np.cumsum(rng.integers(0, count, count))]).astype(np.int32)
    follower = np.concatenate([np.sort(rng.choice(count, n, replace=False)) for n in np.diff(first)]).astype(np.int32)
    unigram, backoff = rng.normal(-6, 3, count).astype(np.float32), rng.normal(0, 4, count).astype(np.float32)
    log_prob = rng.normal(-6, 9, len(follower)).astype(np.float32)
    before, after = (_random_ends(rng, frames + 1, keep, count) for _ in range(2))
    words = rng.integers(0, count, 2).astype(np.int32)
    known = {
        (a, int(b)): p for a in range(count) for b, p in zip(*_followers(a, first, follower, log_prob), strict=True)
    }

    def affinity(a: int, b: int) -> float:
        if min(a, b) < 0:
            return 0.0
        return float(known[a, b] - unigram[b]) if (a, b) in known else float(backoff[a])

    span, sides = (3, 7), []
    for ends, row in ((before, 3), (after, frames - 8)):
        score = [s for s in ends.score[row] if s > NEVER]
        near = [int(word) for word in ends.word[row, : len(score)]]
        pairs = [(word, int(words[0])) if ends is before else (int(words[1]), word) for word in near]
        nats = [s - score[0] + 0.5 * affinity(*pair) for s, pair in zip(score, pairs, strict=True)]
        sides.append(min(8.0, max([-8.0, *nats])))
    bigrams = Bigrams(unigram, backoff, first, follower, log_prob)
    assert fit_around(before, after, bigrams, 0.5, span, words) == pytest.approx(sum(sides), abs=1e-4)


def _followers(
    word: int, first: NDArray[np.int32], follower: NDArray[np.int32], log_prob: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    return follower[first[word] : first[word + 1]], log_prob[first[word] : first[word + 1]]


def _random_ends(rng: np.random.Generator, rows: int, keep: int, count: int) -> Ends:
    """Best first; some rows hold less than they may, and NO_WORD is among the words."""
    score = np.sort(rng.normal(-20, 5, (rows, keep)), axis=1)[:, ::-1].copy()
    score[rng.random(rows) < 0.4, 2:] = NEVER
    return Ends(score, rng.integers(NO_WORD, count, (rows, keep)).astype(np.int32), np.zeros((rows, keep), np.int32))


_COMPILED = """
import streaming.words.bigrams, streaming.words.readings, streaming.words.word_ends, streaming.words.word_loop
from streaming.symbols import phoneme_sequence
from tests.streaming.words.test_competition import COMPETITION, FRAMES, SAID, _heard

modules = [m for name, m in sorted(vars(streaming.words).items()) if hasattr(m, "compiled")]
functions = [f for m in modules for _, f in sorted(vars(m).items()) if hasattr(f, "signatures")]
COMPETITION.warm_up()
before = [len(f.signatures) for f in functions]
assert sum(before) > 5, before
heard = COMPETITION.hear(_heard("be sick in be"))
words = COMPETITION.words_of("sick in")
ratio = COMPETITION.ratio(heard, [phoneme_sequence([SAID["sick"], SAID["in"]])], words, (0, FRAMES - 1), 0)
COMPETITION.fit_around(heard, ratio.span, words), COMPETITION.commonness(words)
assert before == [len(f.signatures) for f in functions]
"""


def test_nothing_is_compiled_once_it_is_warm() -> None:
    """Streams never wait for the compiler. In a process of its own: here other tests have compiled already."""
    subprocess.run([sys.executable, "-c", _COMPILED], check=True, cwd=Path(__file__).parents[3])
