"""A term against all that else could have been said: the log-likelihood ratio of two readings of one context.

One reading says common words with the term in their midst, the other common words alone; both may use every frame, so
that a rival need not begin or end where the term does ("of december" for "distemper"). The idea is that of keyword
spotting with filler models (Rose and Paul 1990); the filler is a loop over a lexicon (`streaming.words.word_loop`).

A term may be any name, so its reading pays nothing for standing where it stands. What the language model says of it is
told beside the ratio: how well it goes with the words around, and how common it is.

Rivals are heard by their phonemes. With the letters too the term would be over its rivals by two numbers, of which the
second costs as much as the first and adds nothing (`training/EXPERIMENTS.md`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.model_folder import ModelFolder
from streaming.symbols import BLANK, BOUND, PHONEMES
from streaming.words.bigrams import affinity
from streaming.words.lexicon import UNKNOWN, Lexicon, lexicon_of
from streaming.words.readings import best_reading, best_rival, fit_around
from streaming.words.rivals import CompetitionConfig, Heard, Rivals, SpokenWords
from streaming.words.word_ends import NEVER

Ids = NDArray[np.int16]
# log-probability of a word that the lexicon lacks.
_RARE = -13.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """`over_rivals` nats by which the reading with the term beats the best one without.

    `reading` is its own score, `span` the first and last frame of the term in it; None where nothing can be read.
    """

    over_rivals: float
    reading: float
    span: tuple[int, int] | None


class Competition:
    """Readings of contexts; stateless after it was built, so that many streams may share it."""

    def __init__(self, lexicon: Lexicon, config: CompetitionConfig | None = None) -> None:
        self._config = config or CompetitionConfig()
        self._known = {word: index for index, word in enumerate(lexicon.words)}
        self._spoken = SpokenWords(lexicon, self._config)

    def open(self) -> Rivals:
        """The rivals of a new stream."""
        return Rivals(self._spoken)

    def warm_up(self) -> None:
        """Compile, or load what an earlier process compiled, before a stream waits for it: 8 s the first time."""
        silence = np.full((8, len(PHONEMES)), -9.0, np.float32)
        silence[:, BLANK] = 0.0
        heard = self.hear(EncodedContext(np.zeros((8, 0), np.float32), silence, np.zeros((8, 0), np.float32)))
        words = np.zeros(2, np.int32)
        self.ratio(heard, [np.array([BOUND, 2, BOUND], np.int16)], words, (0, 7), 0)
        self.fit_around(heard, (0, 7), words)
        self.commonness(words)

    def words_of(self, text: str) -> NDArray[np.int32]:
        """The words of a form (parted by one blank), UNKNOWN where the lexicon lacks one; int32[n]."""
        return np.array([self._known.get(word, UNKNOWN) for word in text.split(" ")], np.int32)

    def hear(self, encoded: EncodedContext) -> Heard:
        """A context by itself."""
        rivals = self.open()
        rivals.carry(encoded, 0)
        return rivals.hear(encoded, 0)

    def ratio(
        self,
        heard: Heard,
        sequences: Sequence[Ids],
        words: NDArray[np.int32],
        near: tuple[int, int],
        first_end: int,
    ) -> Ratio:
        """One term.

        Args:
            heard: the context.
            sequences: ways of saying the term, with bounds; the best counts.
            words: its words in the lexicon, UNKNOWN where it lacks one.
            near: first and last frame between which the term lies; `heard` reaches back to REACH frames before.
            first_end: the term ends at or after this frame.
        """
        readings = [
            best_reading(heard.log_probs, sequence, heard.before, heard.after, near, first_end)
            for sequence in sequences
        ]
        score, start, end = max(readings)
        bigrams, scale = self._spoken.bigrams, self._config.language_scale
        rival = best_rival(heard.bounds, heard.after, bigrams, scale, (start, end), words)
        return Ratio(float(score) - float(rival), float(score), (start, end) if score > NEVER else None)

    def fit_around(self, heard: Heard, span: tuple[int, int], words: NDArray[np.int32]) -> float:
        """How well what was said before and after a span fits the words of a term there, nats from -16 to 16."""
        bigrams, scale = self._spoken.bigrams, self._config.language_scale
        return float(fit_around(heard.before, heard.after, bigrams, scale, span, words))

    def commonness(self, words: NDArray[np.int32]) -> float:
        """Log-probability of a term by itself, nats a word; what the lexicon lacks is rarer than all it has.

        By their sum, long terms would count as rarer than any word.
        """
        bigrams = self._spoken.bigrams
        alone = sum(float(bigrams.unigram[word]) if word != UNKNOWN else _RARE for word in words)
        within = sum(affinity(bigrams, first, second) for first, second in pairwise(words))
        return (alone + within) / len(words)


def competition_of(folder: ModelFolder) -> Competition | None:
    """The competition by the folder's lexicon; None where it has none. Raises ModelError where it cannot be read."""
    lexicon = lexicon_of(folder)
    if lexicon is None:
        return None
    competition = Competition(lexicon)
    competition.warm_up()
    return competition
