"""What the pipeline is put together from, as far as it knows of it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.decision import Candidate, TermEntry
from streaming.encoding.encoded_context import EncodedContext
from streaming.spotting.evidence import Sightings


class StreamEncoder(Protocol):
    """The encoder of one stream, which may remember what it heard."""

    @property
    def nbytes(self) -> int:
        """Memory of what it remembers."""
        ...

    def encode(self, context: NDArray[np.float32], end_sample: int, *, is_kept: bool = True) -> EncodedContext:
        """The newest context of the stream, one row per 320 samples.

        Args:
            context: float32[context_samples] at 16 kHz, the stream up to `end_sample`, a multiple of 320.
            end_sample: never before that of the last call.
            is_kept: False where the end of the context is made up, so that nothing of it is remembered.
        """
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


class FrameEncoder(Protocol):
    """An encoder that serves many streams."""

    def encode(self, context: NDArray[np.float32]) -> EncodedContext:
        """Encode one float32[context_samples] at 16 kHz by itself into one row per 320 samples."""
        ...

    def open(self) -> StreamEncoder:
        """The encoder of a new stream."""
        ...


class Scorer(Protocol):
    """Finds the entries that may have been spoken; one scorer per stream, which may remember earlier hops."""

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """Score one hop.

        Args:
            encoded: the context, frame 0 at `context_start_sample` (negative at the start of a stream).
            context_start_sample: sample under the first frame.
            hop_end_sample: end of the context, and of the hop.
            first_hop_frame: first frame of the context that no earlier hop has seen.
        """
        ...

    @property
    def looks_again(self) -> bool:
        """Whether the last hop ended in what may become a hint once a little more is heard."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory of what it remembers of the stream."""
        ...

    @property
    def sightings(self) -> Sightings:
        """What the last hop saw, in words that mean the same over another index."""
        ...

    def go_on_from(self, sightings: Sightings) -> None:
        """Take the place of a scorer over another index in the middle of a stream, whose last hop saw this."""
        ...

    def reset(self) -> None:
        """Forget earlier hops: a new stream begins."""
        ...


class SearchedGlossary(Protocol):
    """The index behind the scorer, as far as the pipeline reads it."""

    @property
    def entries(self) -> Sequence[TermEntry]:
        """What `Candidate.entry_index` points into."""
        ...

    def version_of(self, entry_index: int) -> str:
        """The version of the glossary that an entry is found in."""
        ...
