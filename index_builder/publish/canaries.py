"""Canary queries: an index that was written is asked for what it holds before anyone else may ask."""

from pathlib import Path

import numpy as np

from streaming.errors import IndexFolderError
from streaming.term_index import TermIndex

_CANARIES = 64
_TOLERANCE = 1e-4
# Half precision rounds each number.
_NORM_TOLERANCE = 1e-2


def check_canaries(index: TermIndex, folder: Path) -> None:
    """Ask the index for some of its own forms; each must find itself, or one of the same vector.

    An index that is searched approximately may miss as many of them as it was measured to miss, twice over.

    Raises:
        IndexFolderError: more are missed.
    """
    chosen = np.unique(np.linspace(0, len(index.forms) - 1, _CANARIES).astype(np.int64))
    queries = index.vectors_of(chosen)
    own = np.einsum("nd,nd->n", queries, queries)
    _, similarities = index.search(queries, 1)
    # What is no number is within no tolerance.
    finds_itself = (np.abs(similarities[:, 0] - own) <= _TOLERANCE) & (np.abs(own - 1) <= _NORM_TOLERANCE)
    lost = chosen[~finds_itself]
    if len(lost) > 2 * (1 - index.search_facts.recall) * len(chosen):
        text = index.forms[int(lost[0])].text
        raise IndexFolderError(
            f"the index in {folder} does not find its own form {text!r}; run `termcue reindex` again"
        )
