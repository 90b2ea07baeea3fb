"""Trials of term verification: a stretch of speech, the words that were said, other words, and words that sound alike.

After LibriPhrase (Shin et al. 2022, arXiv 2206.15400), which pairs phrases of LibriSpeech with easy negatives (other
phrases) and hard ones (the nearest by the edit distance of their phones). Here the audio is kept and the text changes,
so that the three texts of a trial are judged on the same frames, and positives and negatives balance in each split:

- said: one to three consecutive words without a pause between them, at least `least_phones` phones long;
- easy: as many consecutive words of the same stream, of like length (a quarter of the phones more or fewer), at an edit
  distance of at least `far` of the longer one's phones;
- hard: as many consecutive words of the stream, or the words said with one of them replaced by a word of the lexicon,
  at a distance of at most `near` of the phones (at least one phone is allowed); one of the `nearest`, by lot.

No negative shares a pronunciation with what was said (homophones), and none was said with the help of a neighbour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Phones: TypeAlias = tuple[str, ...]
Lexicon: TypeAlias = Mapping[str, Sequence[Phones]]
"""Word -> its pronunciations, the best first; a word without any is in no pair."""
TimedWord: TypeAlias = tuple[str, float, float]

_PAUSE_S = 0.2
# References place the pause before a word inside it: no word counts as longer than this many seconds, and so many
# for each of its phones.
_WORD_S, _PHONE_S = 0.15, 0.14
_NO_PHONE = -1


@dataclass(frozen=True, slots=True)
class PairConfig:
    """The rules by which pairs are drawn.

    Attributes:
        sizes: words of a segment.
        least_phones: of a segment.
        least_replaced: phones of a word that is replaced, and of what replaces it; shorter ones are hardly spoken out.
        longest_s: seconds of a segment, at most.
        far: edit distance of an easy negative from the words said, as a share of the longer one's phones.
        near: edit distance of a hard one, as a share of the phones said.
        nearest: a hard negative is drawn from so many.
        length_share: how much longer or shorter an easy negative may be.
        seed: of the lots.
    """

    sizes: tuple[int, ...] = (1, 2, 3)
    least_phones: int = 4
    least_replaced: int = 3
    longest_s: float = 2.2
    far: float = 0.7
    near: float = 1 / 3
    nearest: int = 5
    length_share: float = 0.25
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive words of a reference, in seconds; `around` is the same text with a neighbour on either side."""

    text: str
    start: float
    end: float
    around: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A segment with an easy and a hard text that were not said."""

    segment: Segment
    easy: str
    hard: str

    @property
    def texts(self) -> tuple[str, str, str]:
        """Said, easy, hard."""
        return self.segment.text, self.easy, self.hard


def best_way(text: str, lexicon: Lexicon) -> Phones:
    """The phones of a text, each word by its best pronunciation."""
    return tuple(phone for word in text.split() for phone in lexicon[word][0])


def all_ways(text: str, lexicon: Lexicon) -> set[Phones]:
    """The phones of a text by every choice of pronunciations."""
    return {sum(ways, ()) for ways in product(*(lexicon[word] for word in text.split()))}


class PhraseBank:
    """Texts with the phones of their best pronunciations, ready for the edit distance from one to all."""

    def __init__(self, texts: Iterable[str], lexicon: Lexicon) -> None:
        self.texts = tuple(texts)
        ways = [best_way(text, lexicon) for text in self.texts]
        self.lengths = np.array([len(way) for way in ways], np.int64)
        self._ids: dict[str, int] = {}
        self._phones = np.full((len(ways), int(self.lengths.max(initial=0))), _NO_PHONE, np.int32)
        for row, way in enumerate(ways):
            self._phones[row, : len(way)] = [self._ids.setdefault(phone, len(self._ids)) for phone in way]

    def distances(self, phones: Phones) -> NDArray[np.int64]:
        """Levenshtein distance (1966) of `phones` to each text, int64[n]; all tables are filled row by row together."""
        columns = np.arange(self._phones.shape[1] + 1)
        row = np.broadcast_to(columns, (len(self.texts), len(columns)))
        for i, phone in enumerate(phones, 1):
            changed = row[:, :-1] + (self._phones != self._ids.get(phone, len(self._ids)))
            new = np.concatenate([np.full((len(row), 1), i), np.minimum(changed, row[:, 1:] + 1)], axis=1)
            # An insertion costs one a column, so the least over all columns to the left is a running minimum.
            row = np.minimum.accumulate(new - columns, axis=1) + columns
        return np.asarray(row[np.arange(len(row)), self.lengths], np.int64)


def segments_of(words: Sequence[TimedWord], lexicon: Lexicon, config: PairConfig) -> list[Segment]:
    """Every run of consecutive words that may be a trial, by size and then by time; each text once."""
    clamped = [_without_pause(word, lexicon) for word in words]
    joined = [_follows(left, right, lexicon) for left, right in pairwise(clamped)]
    found: dict[str, Segment] = {}
    for size in config.sizes:
        for first in range(len(clamped) - size + 1):
            run = clamped[first : first + size]
            if not lexicon.get(run[0][0]) or not all(joined[first : first + size - 1]):
                continue
            text = " ".join(word for word, _, _ in run)
            is_long = len(best_way(text, lexicon)) >= config.least_phones
            if text not in found and is_long and run[-1][2] - run[0][1] <= config.longest_s:
                around = " ".join(word for word, _, _ in clamped[max(0, first - 1) : first + size + 1])
                found[text] = Segment(text, run[0][1], run[-1][2], around)
    return list(found.values())


def _without_pause(word: TimedWord, lexicon: Lexicon) -> TimedWord:
    text, start, end = word
    phones = len(best_way(text, lexicon)) if lexicon.get(text) else len(text)
    return text, max(start, end - _WORD_S - _PHONE_S * phones), end


def _follows(left: TimedWord, right: TimedWord, lexicon: Lexicon) -> bool:
    """Whether `right` may stand in one segment after `left`."""
    return bool(lexicon.get(right[0])) and right[1] - left[2] <= _PAUSE_S and left[1] < right[2]


class Negatives:
    """Draws other texts for the segments of one stream."""

    def __init__(self, segments: Sequence[Segment], lexicon: Lexicon, config: PairConfig) -> None:
        self._lexicon, self._config = lexicon, config
        self._rng = np.random.default_rng(config.seed)
        self._phrases = {
            size: PhraseBank([s.text for s in segments if len(s.text.split()) == size], lexicon)
            for size in config.sizes
        }
        self._words = PhraseBank(
            (word for word in sorted(lexicon) if lexicon[word] and len(lexicon[word][0]) >= config.least_replaced),
            lexicon,
        )

    def trial(self, segment: Segment) -> Trial | None:
        """The segment with its negatives; None where either is lacking."""
        said = best_way(segment.text, self._lexicon)
        bank = self._phrases[len(segment.text.split())]
        distances = bank.distances(said)
        easy = self._easy(segment, len(said), bank, distances)
        hard = self._hard(segment, len(said), bank, distances)
        return Trial(segment, easy, hard) if easy is not None and hard is not None else None

    def _easy(self, segment: Segment, phones: int, bank: PhraseBank, distances: NDArray[np.int64]) -> str | None:
        is_alike = abs(bank.lengths - phones) <= max(1.0, self._config.length_share * phones)
        is_far = distances >= self._config.far * np.maximum(bank.lengths, phones)
        texts = [bank.texts[i] for i in self._rng.permutation(np.flatnonzero(is_alike & is_far))]
        return next((text for text in texts if self._is_other(segment, text)), None)

    def _hard(self, segment: Segment, phones: int, bank: PhraseBank, distances: NDArray[np.int64]) -> str | None:
        most = max(1, int(self._config.near * phones))
        near = {bank.texts[i]: int(distances[i]) for i in np.flatnonzero((distances > 0) & (distances <= most))}
        words = segment.text.split()
        for place, word in enumerate(words):
            for other, distance in self._near_words(word, most):
                text = " ".join((*words[:place], other, *words[place + 1 :]))
                near[text] = min(distance, near.get(text, distance))
        allowed = [text for text in near if self._is_other(segment, text)]
        lots = self._rng.random(len(allowed))
        ranked = sorted(range(len(allowed)), key=lambda i: (near[allowed[i]], lots[i]))[: self._config.nearest]
        return allowed[ranked[self._rng.integers(len(ranked))]] if ranked else None

    def _near_words(self, word: str, most: int) -> list[tuple[str, int]]:
        """Words at a distance of 1 to `most` phones."""
        phones = self._lexicon[word][0]
        if len(phones) < self._config.least_replaced:
            return []
        distances = self._words.distances(phones)
        return [
            (self._words.texts[i], int(distances[i])) for i in np.flatnonzero((distances > 0) & (distances <= most))
        ]

    def _is_other(self, segment: Segment, text: str) -> bool:
        if f" {text} " in f" {segment.around} ":
            return False
        return all_ways(segment.text, self._lexicon).isdisjoint(all_ways(text, self._lexicon))


def draw_trials(
    words: Sequence[TimedWord], lexicon: Lexicon, count: int, config: PairConfig | None = None
) -> list[Trial]:
    """At most `count` trials of a reference, in the order of time, as many of each size as there are.

    Args:
        words: of the reference, (text, start, end) in seconds.
        lexicon: pronunciations of its words, and of further ones that may replace them.
        count: of segments; each is one positive, one easy and one hard pair.
        config: the rules.

    Returns:
        the same trials for the same arguments.
    """
    rules = config or PairConfig()
    segments = segments_of(words, lexicon, rules)
    negatives = Negatives(segments, lexicon, rules)
    rng = np.random.default_rng(rules.seed)
    trials: list[Trial] = []
    for place, size in enumerate(rules.sizes):
        share = count // len(rules.sizes) + (place < count % len(rules.sizes))
        of_size = [s for s in segments if len(s.text.split()) == size]
        drawn = (negatives.trial(of_size[i]) for i in rng.permutation(len(of_size)))
        trials += [trial for _, trial in zip(range(share), (t for t in drawn if t is not None), strict=False)]
    return sorted(trials, key=lambda trial: (trial.segment.start, trial.segment.end))
