"""Words in the symbols of one head as a prefix tree, which shares the beginnings of the words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import BOUND

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


class WordTree(NamedTuple):
    """Flat arrays over n nodes; node 0 is the word bound, from which every word starts.

    Attributes:
        symbol: int32[n], what is said in the node.
        first_child: int32[n + 1]; the children of node i are first_child[i] to first_child[i + 1], without the end.
        first_word: int32[n + 1]; the same for `words`, the words that end in the node.
        words: int32[m], indices of words.
        look_ahead: float32[n], log-probability of the commonest word that can still come; 0 at the bound.
    """

    symbol: Ints
    first_child: Ints
    first_word: Ints
    words: Ints
    look_ahead: Floats


def word_tree(sequences: Sequence[Sequence[int]], words: Sequence[int], log_probs: Floats) -> WordTree:
    """Build the tree.

    Args:
        sequences: symbols of each way of saying a word, without bounds, none empty; a word may be there several times.
        words: the word of each sequence.
        log_probs: float32[n_words], how common each word is.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    table = np.full((len(sequences), int(lengths.max(initial=0)) + 1), -1, np.int32)
    for row, sequence in enumerate(sequences):
        table[row, : len(sequence)] = sequence
    owners = np.asarray(words, np.int32)
    order = np.lexsort((owners, *table.T[::-1]))
    table, lengths, owners = table[order], lengths[order], owners[order]
    return _tree_of_sorted(table, lengths, owners, log_probs)


def _tree_of_sorted(table: Ints, lengths: NDArray[np.int64], owners: Ints, log_probs: Floats) -> WordTree:
    """Level by level, breadth first, so that the children of a node lie side by side.

    A row of the sorted table opens a node at each depth from the first in which it differs from the row before it.
    """
    differs = np.ones(table.shape, bool)
    differs[1:] = np.maximum.accumulate(table[1:] != table[:-1], axis=1)
    opens = differs & (np.arange(table.shape[1]) < lengths[:, None])
    rows_above, first_above = np.zeros(1, np.int64), 0
    symbols, parents, ends = [np.array([BOUND])], [np.array([-1])], np.zeros(len(table), np.int64)
    count = 1
    for depth in range(table.shape[1] - 1):
        rows = np.flatnonzero(opens[:, depth])
        if not len(rows):
            break
        symbols.append(table[rows, depth])
        parents.append(first_above + np.searchsorted(rows_above, rows, "right") - 1)
        ending = np.flatnonzero(lengths == depth + 1)
        ends[ending] = count + np.searchsorted(rows, ending, "right") - 1
        rows_above, first_above = rows, count
        count += len(rows)
    parent = np.concatenate(parents)
    by_end = np.argsort(ends, kind="stable")
    ahead = np.full(count, -np.inf, np.float32)
    np.maximum.at(ahead, ends, log_probs[owners])
    # Children follow their parents, so that one sweep from the last level upwards sees every word.
    starts = np.cumsum([0, *(len(level) for level in symbols)])
    for first, stop in zip(starts[1:-1][::-1], starts[2:][::-1], strict=True):
        np.maximum.at(ahead, parent[first:stop], ahead[first:stop])
    ahead[0] = 0.0
    return WordTree(
        np.concatenate(symbols).astype(np.int32),
        1 + _offsets(parent[1:], count),
        _offsets(ends, count),
        owners[by_end],
        ahead,
    )


def _offsets(owners: NDArray[np.int64], count: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))]).astype(np.int32)
