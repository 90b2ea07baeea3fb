"""The tree holds exactly the words it was made of, children side by side, and looks ahead to the commonest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streaming.symbols import BOUND
from streaming.words.word_tree import WordTree, word_tree

WORDS = 5
SAID = st.lists(st.tuples(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(0, WORDS - 1)), min_size=1)


def _said(tree: WordTree, node: int = 0, path: tuple[int, ...] = ()) -> dict[tuple[int, ...], set[int]]:
    found = {}
    words = tree.words[tree.first_word[node] : tree.first_word[node + 1]]
    if len(words):
        found[path] = set(words.tolist())
    for child in range(tree.first_child[node], tree.first_child[node + 1]):
        found |= _said(tree, child, (*path, int(tree.symbol[child])))
    return found


@given(SAID, st.lists(st.floats(-9, -1, width=32), min_size=WORDS, max_size=WORDS))
def test_it_says_what_it_was_made_of(said: list[tuple[list[int], int]], log_probs: list[float]) -> None:
    """Walking the tree gives every sequence with its words, and nothing else."""
    tree = word_tree([s for s, _ in said], [w for _, w in said], np.array(log_probs, np.float32))
    expected: dict[tuple[int, ...], set[int]] = {}
    for sequence, word in said:
        expected.setdefault(tuple(sequence), set()).add(word)
    assert _said(tree) == expected
    assert tree.symbol[0] == BOUND


@given(SAID, st.lists(st.floats(-9, -1, width=32), min_size=WORDS, max_size=WORDS))
def test_it_looks_ahead_to_the_commonest_word(said: list[tuple[list[int], int]], log_probs: list[float]) -> None:
    """A node's look-ahead is the greatest log-probability of the words below it; every prefix is one node."""
    common = np.array(log_probs, np.float32)
    tree = word_tree([s for s, _ in said], [w for _, w in said], common)
    prefixes = {tuple(s[:k]) for s, _ in said for k in range(1, len(s) + 1)}
    assert len(tree.symbol) == 1 + len(prefixes)

    def look(node: int, path: tuple[int, ...]) -> None:
        if node:
            below = [common[w] for s, w in said if tuple(s[: len(path)]) == path]
            assert tree.look_ahead[node] == max(below)
        for child in range(tree.first_child[node], tree.first_child[node + 1]):
            look(child, (*path, int(tree.symbol[child])))

    look(0, ())
