"""What else could have been said in one stream, as common words, before and after each frame.

What was said before a frame is carried from hop to hop, as long as the stream is one stretch; what may follow it is
read anew at each hop, backwards from the newest frame, and no further than the terms in question lie.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.spotting.carrying import Carried
from streaming.symbols import BLANK, BOUND
from streaming.words.lexicon import Lexicon
from streaming.words.word_ends import Ends, empty_ends, in_bounds
from streaming.words.word_loop import Scratch, WordsBefore, nothing_before, scratch_for, word_ends
from streaming.words.word_tree import WordTree

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CompetitionConfig:
    """How the readings are weighed.

    Attributes:
        acoustic_scale: weight of the heads, which are surer than they are right.
        language_scale: weight of the language model.
        beam: tokens worse than the best by more nats are dropped.
        keep: word ends kept a frame.
        open_cost: what a frame of speech costs that is left out at either edge of a stretch, where it cuts words;
            silence costs nothing.
    """

    acoustic_scale: float = 0.6
    language_scale: float = 0.5
    beam: float = 6.0
    keep: int = 4
    open_cost: float = 1.0


class Heard(NamedTuple):
    """The phonemes of one context: scaled log-probabilities, tokens before, in and (in reverse rows) after each bound.

    Frames are those of the context; `after` may reach back to a part of it only.
    """

    log_probs: Floats
    before: Ends
    bounds: Ends
    after: Ends


class _WordsSoFar(NamedTuple):
    """What is carried: all that later frames need, and the rows of the frames so far (one more of `ends`)."""

    words: WordsBefore
    ends: Ends
    bounds: Ends

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (*self.words.tokens, *self.words.ends, *self.ends, *self.bounds)
        return sum(array.nbytes for array in arrays)

    def last(self, frames: int) -> "_WordsSoFar":
        """Without rows older than so many frames."""
        first = max(0, len(self.bounds.score) - frames)
        return self._replace(ends=self.ends.rows(first, None), bounds=self.bounds.rows(first, None))


class SpokenWords:
    """The words of the lexicon in phonemes; stateless, but for room to compute in."""

    def __init__(self, lexicon: Lexicon, config: CompetitionConfig) -> None:
        self._forwards, self._backwards = lexicon.trees()
        self.bigrams, self._config = lexicon.bigrams, config
        # Room to compute in, as much as threads ever computed at a time.
        self._room: dict[bool, list[Scratch]] = {False: [], True: []}

    def begin(self, frame: int) -> _WordsSoFar:
        """What is carried where a stretch begins."""
        words = nothing_before(self._config.keep, frame)
        return _WordsSoFar(words, words.ends, empty_ends(0, self._config.keep))

    def carry(self, before: _WordsSoFar, log_probs: Floats, frame: int) -> _WordsSoFar:
        """Move on over float32[t, v] from a frame on."""
        scaled, anything = self._weighed(log_probs)
        ends, words = self._pass(scaled, anything, before.words, frame, self._forwards, backwards=False)
        rows = len(before.bounds.score)
        last = before.bounds.rows(rows - 1, rows) if rows else empty_ends(1, self._config.keep)
        bounds = in_bounds(scaled, ends, last)
        return _WordsSoFar(words, before.ends.joined(ends.rows(1, None)), before.bounds.joined(bounds))

    def read(self, before: _WordsSoFar, log_probs: Floats, first_frame: int, back_to: int) -> Heard:
        """A context from frame `first_frame` on, all of whose rows have been carried; backwards to a row of it."""
        scaled, anything = self._weighed(log_probs)
        rest = np.ascontiguousarray(scaled[back_to:][::-1])
        begin = nothing_before(self._config.keep)
        after, _ = self._pass(rest, anything[back_to:][::-1].copy(), begin, 0, self._backwards, backwards=True)
        there = before.last(len(scaled))
        return Heard(scaled, there.ends.counted_from(first_frame), there.bounds.counted_from(first_frame), after)

    def _weighed(self, log_probs: Floats) -> tuple[Floats, Floats]:
        scaled = np.ascontiguousarray(log_probs * np.float32(self._config.acoustic_scale))
        speech = 1.0 - np.exp(log_probs[:, BLANK]) - np.exp(log_probs[:, BOUND])
        return scaled, scaled.max(axis=1) - np.float32(self._config.open_cost) * speech

    def _pass(
        self, log_probs: Floats, anything: Floats, begin: WordsBefore, frame: int, tree: WordTree, *, backwards: bool
    ) -> tuple[Ends, WordsBefore]:
        c = self._config
        try:
            scratch = self._room[backwards].pop()
        except IndexError:
            scratch = scratch_for(tree)
        found = word_ends(
            *(log_probs, anything, begin, frame, tree, self.bigrams),
            *(c.language_scale, c.beam, c.keep, backwards, scratch),
        )
        self._room[backwards].append(scratch)
        return found


class Rivals:
    """What else could have been said in one stream."""

    def __init__(self, spoken: SpokenWords) -> None:
        self._spoken = spoken
        self.reset()

    @property
    def nbytes(self) -> int:
        """Memory of what is carried on."""
        return self._before.nbytes

    def reset(self) -> None:
        """Forget the stream."""
        self._carried = Carried()
        self._before = self._spoken.begin(0)

    def carry(self, encoded: EncodedContext, first_frame: int) -> None:
        """Move on over the final rows of a context that begins at a frame of the stream."""
        if not self._carried.goes_on(encoded, first_frame):
            self._carried.begin(encoded, first_frame)
            self._before = self._spoken.begin(first_frame)
        new = self._carried.new_rows(encoded, first_frame)
        if new.start < new.stop:
            before = self._spoken.carry(self._before, encoded.phonemes[new], self._carried.frame)
            self._before = before.last(len(encoded.phonemes))
            self._carried.move(new)

    def hear(self, encoded: EncodedContext, first_frame: int, back_to: int = 0) -> Heard:
        """The context that was carried last; what may follow, back to one of its rows.

        The rows that are not final are not remembered.
        """
        rest = encoded.phonemes[self._carried.frame - first_frame :]
        before = self._spoken.carry(self._before, rest, self._carried.frame)
        return self._spoken.read(before, encoded.phonemes, first_frame, back_to)
