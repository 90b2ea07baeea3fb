"""What a scorer asks of an index, be it of one glossary or of several in layers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry, Form


class Rows(Protocol):
    """Rows of four float32 each, read one at a time."""

    def __getitem__(self, row: int, /) -> NDArray[np.float32]:
        """One row."""
        ...


class SearchedIndex(Protocol):
    """Entries, their spoken forms, and the search among the vectors of these."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The glossary, in its order."""
        ...

    @property
    def forms(self) -> Sequence[Form]:
        """Spoken forms, grouped by entry."""
        ...

    @property
    def background(self) -> Rows:
        """Statistics of each form against background speech."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def version(self) -> str:
        """The name of this state of the glossary."""
        ...

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations; "" where the language is not named."""
        ...

    def version_of(self, entry_index: int) -> str:
        """The version in which an entry is found."""
        ...

    def vectors_of(self, forms: NDArray[np.integer] | Sequence[int]) -> NDArray[np.float32]:
        """The vectors of some forms, float32[n, dim], unit norm."""
        ...

    def search(self, queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest forms of each query: int64[m, k] and cosines float32[m, k], best first."""
        ...
