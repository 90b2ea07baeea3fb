"""A term against all that else could have been said: the log-likelihood ratio of two readings of one context.

One reading says common words with the term in their midst, the other common words alone; both may use every frame, so
that a rival need not begin or end where the term does ("of december" for "distemper"). The idea is that of keyword
spotting with filler models (Rose and Paul 1990); the filler is a loop over a lexicon (`streaming.word_loop`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.encoded_context import EncodedContext
from streaming.lexicon import UNKNOWN, Lexicon, lexicon_of
from streaming.model_folder import ModelFolder
from streaming.symbols import BLANK, BOUND, CHARACTERS, PHONEMES
from streaming.word_loop import NEVER, NO_WORD, Bigrams, Ends, affinity, in_bounds, word_ends
from streaming.word_tree import WordTree

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
# Boundaries less than 60 ms apart are the same one.
_SAME = 3
# A rival's boundary this far from the term says nothing about the term.
_REACH = 40


@dataclass(frozen=True, slots=True)
class CompetitionConfig:
    """How the readings are weighed.

    Attributes:
        acoustic_scale: weight of the heads, which are surer than they are right.
        language_scale: weight of the language model.
        beam: tokens worse than the best by more nats are dropped.
        keep: word ends kept a frame.
        open_cost: what a frame of speech costs that is left out at either edge of the context, where it cuts words;
            silence costs nothing.
    """

    acoustic_scale: float = 0.6
    language_scale: float = 0.5
    beam: float = 6.0
    keep: int = 4
    open_cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """`over_rivals` nats by which the reading with the term beats the best one without, `reading` its own score."""

    over_rivals: float
    reading: float


class Heard(NamedTuple):
    """One head of one context: scaled log-probabilities, tokens before, in and (in reverse rows) after each bound."""

    log_probs: Floats
    before: Ends
    bounds: Ends
    after: Ends


@compiled
def best_reading(
    log_probs: Floats, sequence: Ids, before: Ends, after: Ends, near: tuple[int, int], first_end: int
) -> tuple[float, int, int]:
    """The best reading with a sequence (bounds included) in its midst: score, first frame, last frame.

    The sequence lies within the frames `near` (first, last) and ends at or after `first_end`.
    """
    frames, states = len(log_probs), 2 * len(sequence) - 1
    score, start = np.full(states, NEVER, np.float32), np.zeros(states, np.int64)
    best, best_start, best_end = NEVER, 0, 0
    for frame in range(near[0], min(near[1] + 1, frames)):
        for state in range(states - 1, -1, -1):
            value, since = score[state], start[state]
            if state > 0 and score[state - 1] > value:
                value, since = score[state - 1], start[state - 1]
            may_skip = state > 1 and state % 2 == 0 and sequence[state // 2] != sequence[state // 2 - 1]
            if may_skip and score[state - 2] > value:
                value, since = score[state - 2], start[state - 2]
            if state == 0 and before.score[frame, 0] > value:
                value, since = before.score[frame, 0], frame
            symbol = sequence[state // 2] if state % 2 == 0 else BLANK
            score[state] = value + log_probs[frame, symbol] if value > NEVER else NEVER
            start[state] = since
        if frame >= first_end and score[states - 1] > NEVER:
            whole = score[states - 1] + after.score[frames - 1 - frame, 0]
            if whole > best:
                best, best_start, best_end = whole, start[states - 1], frame
    return float(best), best_start, best_end


@compiled
def _without(
    frame: int,
    first: int,
    last: int,
    words: NDArray[np.int32],
    word_before: int,
    since: int,
    word_after: int,
    until: int,
) -> bool:
    """Whether a reading with a bound that ends in `frame` cannot hold `words` on the frames first to last.

    The word before that bound began at `since`, the one after it ends at `until`.
    """
    if first + _SAME < frame < last - _SAME:
        for i in range(len(words) - 1):  # noqa: SIM110 (generators are not compiled)
            if word_before == words[i] and word_after == words[i + 1]:
                return False
        return True
    if frame >= last - _SAME:
        reaches_over = since < last - _SAME and word_before != NO_WORD
        return bool(word_before != words[-1] and (frame <= last + _SAME or reaches_over))
    return bool(word_after != NO_WORD and word_after != words[0] and until > first + _SAME)


@compiled
def best_rival(
    bounds: Ends, after: Ends, bigrams: Bigrams, scale: float, span: tuple[int, int], words: NDArray[np.int32]
) -> float:
    """The best reading of the context that does not say `words` on the frames `span` (first, last)."""
    frames, keep = bounds.score.shape
    first, last = span
    best = NEVER
    for frame in range(max(0, first - _REACH), min(frames, last + _REACH + 1)):
        row = frames - 1 - frame
        for i in range(keep):
            for j in range(keep):
                left, right = bounds.score[frame, i], after.score[row, j]
                if left <= NEVER or right <= NEVER or left + right <= best - 50.0:
                    continue
                word_before, word_after = bounds.word[frame, i], after.word[row, j]
                until = frames - 1 - after.start[row, j]
                if _without(frame, first, last, words, word_before, bounds.start[frame, i], word_after, until):
                    whole = left + right + scale * affinity(bigrams, word_before, word_after)
                    best = max(best, whole)
    return float(best)


def _open(anything: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(anything)]).astype(np.float32)


class Competition:
    """Readings of contexts; stateless after it was built, so that many streams may share it."""

    def __init__(self, lexicon: Lexicon, config: CompetitionConfig | None = None) -> None:
        self._config = config or CompetitionConfig()
        self._known = {word: index for index, word in enumerate(lexicon.words)}
        self._bigrams = lexicon.bigrams
        self._characters = lexicon.trees(phonemes=False)
        self._phonemes = lexicon.trees(phonemes=True)

    def warm_up(self) -> None:
        """Compile, or load what an earlier process compiled, before a stream waits for it: 8 s the first time."""
        silence = [np.full((8, len(symbols)), -9.0, np.float32) for symbols in (CHARACTERS, PHONEMES)]
        for log_probs in silence:
            log_probs[:, BLANK] = 0.0
        heard, _ = self.hear(EncodedContext(silence[0], silence[1], np.zeros((8, 0), np.float32)))
        self.ratio(heard, [np.array([BOUND, 2, BOUND], np.int16)], np.zeros(1, np.int32), (0, 7), 0)

    def words_of(self, text: str) -> NDArray[np.int32]:
        """The words of a form (parted by one blank), UNKNOWN where the lexicon lacks one; int32[n]."""
        return np.array([self._known.get(word, UNKNOWN) for word in text.split(" ")], np.int32)

    def hear(self, encoded: EncodedContext) -> tuple[Heard, Heard]:
        """Both heads of a context, characters first."""
        return (
            self._hear(encoded.characters, self._characters),
            self._hear(encoded.phonemes, self._phonemes),
        )

    def _hear(self, log_probs: Floats, trees: tuple[WordTree, WordTree]) -> Heard:
        config = self._config
        scaled = np.ascontiguousarray(log_probs * np.float32(config.acoustic_scale))
        speech = 1.0 - np.exp(log_probs[:, BLANK]) - np.exp(log_probs[:, BOUND])
        anything = scaled.max(axis=1) - np.float32(config.open_cost) * speech
        common = (self._bigrams, config.language_scale, config.beam, config.keep)
        before = word_ends(scaled, _open(anything), trees[0], *common, False)
        after = word_ends(np.ascontiguousarray(scaled[::-1]), _open(anything[::-1]), trees[1], *common, True)
        return Heard(scaled, before, in_bounds(scaled, before), after)

    def ratio(
        self,
        heard: Heard,
        sequences: Sequence[Ids],
        words: NDArray[np.int32],
        near: tuple[int, int],
        first_end: int,
    ) -> Ratio:
        """One term in one head.

        Args:
            heard: the head.
            sequences: ways of saying the term, with bounds; the best counts.
            words: its words in the lexicon, UNKNOWN where it lacks one.
            near: first and last frame between which the term lies.
            first_end: the term ends at or after this frame.
        """
        readings = [
            best_reading(heard.log_probs, sequence, heard.before, heard.after, near, first_end)
            for sequence in sequences
        ]
        score, start, end = max(readings)
        rival = best_rival(heard.bounds, heard.after, self._bigrams, self._config.language_scale, (start, end), words)
        return Ratio(float(score) - float(rival), float(score))


def competition_of(folder: ModelFolder) -> Competition | None:
    """The competition by the folder's lexicon; None where it has none. Raises ModelError where it cannot be read."""
    lexicon = lexicon_of(folder)
    if lexicon is None:
        return None
    competition = Competition(lexicon)
    competition.warm_up()
    return competition
