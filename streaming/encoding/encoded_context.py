"""What an encoder makes of a context."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncodedContext:
    """One context after one encoder pass, 50 frames a second.

    Attributes:
        characters: float32[t, 29] log-probabilities.
        phonemes: float32[t, 41] log-probabilities.
        frames: float32[t, width], the features from which spans are pooled.
        hidden: float32[t, inner], what a verifier reads; None without one.
        final: so many first rows are the same, to the last bit, in every later context of the stretch that holds them.
        stretch: contexts of one stream with the same number go on from each other; None for one that stands by itself.
    """

    characters: Floats
    phonemes: Floats
    frames: Floats
    hidden: Floats | None = None
    final: int = field(default=0, kw_only=True)
    stretch: int | None = field(default=None, kw_only=True)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.characters, self.phonemes, self.frames, self.hidden)
        return sum(array.nbytes for array in arrays if array is not None)

    def carried(self, final: int, stretch: int | None) -> "EncodedContext":
        """The same context in its stretch."""
        return replace(self, final=max(0, min(final, len(self.characters))), stretch=stretch)

    def first(self, frames: int) -> "EncodedContext":
        """The context up to a frame."""
        return self._cut(slice(frames)).carried(self.final, self.stretch)

    def after(self, frames: int) -> "EncodedContext":
        """The context from a frame on, by itself."""
        return self._cut(slice(frames, None))

    def last(self, frames: int) -> "EncodedContext":
        """The newest frames of the context, by themselves."""
        return self._cut(slice(len(self.characters) - frames, None))

    def joined(self, newer: "EncodedContext") -> "EncodedContext":
        """This one and what comes after it, by themselves; both have hidden frames, or neither."""
        hidden = None
        if self.hidden is not None and newer.hidden is not None:
            hidden = np.concatenate([self.hidden, newer.hidden])
        return EncodedContext(
            np.concatenate([self.characters, newer.characters]),
            np.concatenate([self.phonemes, newer.phonemes]),
            np.concatenate([self.frames, newer.frames]),
            hidden,
        )

    def _cut(self, place: slice) -> "EncodedContext":
        hidden = None if self.hidden is None else self.hidden[place]
        return EncodedContext(self.characters[place], self.phonemes[place], self.frames[place], hidden)
