"""The best sequences of common words over the frames of one head: what else could have been said.

Token passing (Young, Russell and Thornton 1989) over a prefix tree in the topology of CTC (Graves et al. 2006), with a
bigram language model whose unigrams are looked ahead (Ortmanns, Ney and Eiden 1996). A token stands in the label or in
the blank of a node; of two that meet, the better one survives. Tokens can be kept after any frame and moved on later.
Compiled at first use, and the machine code is kept.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BLANK, BOUND
from streaming.words.bigrams import Bigrams, affinity
from streaming.words.word_ends import NEVER, NO_WORD, Ends, empty_ends, put
from streaming.words.word_tree import WordTree

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Ints = NDArray[np.int32]


class Tokens(NamedTuple):
    """Tokens side by side, one row for each node of the tree that holds any.

    `node` int32[n]; of [:, 0] the token in the label and [:, 1] the one in the blank: `score` float64[n, 2], `past`
    int32[n, 2] the word before and `since` int32[n, 2] the frame in which the bound after that word began.
    """

    node: Ints
    score: Sums
    past: Ints
    since: Ints


class Scratch(NamedTuple):
    """Room to move tokens in, for one thread: two sets of them, and `row` int32[nodes], -1 everywhere between uses."""

    one: Tokens
    other: Tokens
    row: Ints


class WordsBefore(NamedTuple):
    """All that later frames need of those heard: the tokens, one row of ends, and the score of hearing just anything.

    The last is what it costs to leave out all that was heard, as the end of a word that began before.
    """

    tokens: Tokens
    ends: Ends
    anything: float


@compiled
def no_tokens(rows: int) -> Tokens:
    """Room for tokens in so many nodes. Memory that is never touched costs nothing."""
    return Tokens(
        np.empty(rows, np.int32),
        np.empty((rows, 2), np.float64),
        np.empty((rows, 2), np.int32),
        np.empty((rows, 2), np.int32),
    )


def scratch_for(tree: WordTree) -> Scratch:
    """Room for the tokens of a tree."""
    nodes = len(tree.symbol)
    return Scratch(no_tokens(nodes), no_tokens(nodes), np.full(nodes, -1, np.int32))


def nothing_before(keep: int, frame: int = 0) -> WordsBefore:
    """Where a stretch begins, at a frame."""
    ends = empty_ends(1, keep)
    ends.score[0, 0], ends.start[0, 0] = 0.0, frame
    return WordsBefore(no_tokens(0), ends, 0.0)


@compiled
def _row_of(node: int, new: Tokens, row: Ints, count: int) -> tuple[int, int]:
    """The row of a node, a new one if it has none, and how many rows there are now."""
    if row[node] >= 0:
        return row[node], count
    row[node] = count
    new.node[count] = node
    new.score[count, 0] = NEVER
    new.score[count, 1] = NEVER
    return count, count + 1


@compiled
def _step(
    log_probs: Floats,
    tree: WordTree,
    scale: float,
    entry: tuple[float, int, int],
    floor: float,
    old: Tokens,
    before: int,
    new: Tokens,
    row: Ints,
) -> int:
    """Move every token over one frame; returns how many rows of `new` are filled.

    `entry` is a token (score, word, frame) that begins a word, `row` int32[nodes] leads from a node to its row of
    `new` and holds -1 wherever there is none yet.
    """
    symbols, ahead = tree.symbol, tree.look_ahead
    count = 0
    if entry[0] > floor:
        at, count = _row_of(0, new, row, count)
        new.score[at, 0], new.past[at, 0], new.since[at, 0] = entry[0] + log_probs[BOUND], entry[1], entry[2]
    for i in range(before):
        node = old.node[i]
        better = 1 if old.score[i, 1] > old.score[i, 0] else 0
        best = old.score[i, better]
        if best <= floor:
            continue
        at, count = _row_of(node, new, row, count)
        stay = old.score[i, 0] + log_probs[symbols[node]]
        if stay > new.score[at, 0]:
            new.score[at, 0], new.past[at, 0], new.since[at, 0] = stay, old.past[i, 0], old.since[i, 0]
        # Only this node leads into its own blank.
        new.score[at, 1] = best + log_probs[BLANK]
        new.past[at, 1], new.since[at, 1] = old.past[i, better], old.since[i, better]
        for child in range(tree.first_child[node], tree.first_child[node + 1]):
            # The same symbol twice needs a blank between.
            source = 1 if symbols[child] == symbols[node] else better
            moved = old.score[i, source] - scale * (ahead[node] - ahead[child])
            if moved <= floor:
                continue
            moved += log_probs[symbols[child]]
            at, count = _row_of(child, new, row, count)
            if moved > new.score[at, 0]:
                new.score[at, 0], new.past[at, 0] = moved, old.past[i, source]
                new.since[at, 0] = old.since[i, source]
    return count


@compiled
def _end_words(
    ends: Ends,
    row: int,
    tree: WordTree,
    bigrams: Bigrams,
    scale: float,
    backwards: bool,
    floor: float,
    tokens: Tokens,
    count: int,
) -> None:
    """Put the tokens of the nodes in which words end into a row of `ends`."""
    for i in range(count):
        node = tokens.node[i]
        better = 1 if tokens.score[i, 1] > tokens.score[i, 0] else 0
        score = tokens.score[i, better]
        if score <= floor:
            continue
        for j in range(tree.first_word[node], tree.first_word[node + 1]):
            word = tree.words[j]
            other = tokens.past[i, better]
            first, second = (word, other) if backwards else (other, word)
            model = bigrams.unigram[word] + affinity(bigrams, first, second) - tree.look_ahead[node]
            put(ends, row, score + scale * model, word, tokens.since[i, better])


@compiled
def _copied(tokens: Tokens, count: int) -> Tokens:
    return Tokens(
        tokens.node[:count].copy(), tokens.score[:count].copy(), tokens.past[:count].copy(), tokens.since[:count].copy()
    )


@compiled
def word_ends(
    log_probs: Floats,
    anything: Floats,
    begin: WordsBefore,
    begin_frame: int,
    tree: WordTree,
    bigrams: Bigrams,
    scale: float,
    beam: float,
    keep: int,
    backwards: bool,
    scratch: Scratch,
) -> tuple[Ends, WordsBefore]:
    """The best tokens at every frame, and what goes on with frames to come.

    Args:
        log_probs: float32[t, v] of one head; in reverse order, as the tree's words, where `backwards`.
        anything: float32[t], the score of hearing each frame as anything at all.
        begin: what was heard before.
        begin_frame: number of the first frame.
        tree: the words in the symbols of the head.
        bigrams: the language model.
        scale: weight of the language model.
        beam: tokens worse than the best by more are dropped.
        keep: tokens kept a frame.
        backwards: words are met from the last to the first.
        scratch: for this tree; left as it was.

    Returns:
        Rows 0 to t, those after so many frames, row 0 being that of `begin`; and what was heard then.
    """
    frames = len(log_probs)
    ends = empty_ends(frames + 1, keep)
    ends.score[0], ends.word[0], ends.start[0] = begin.ends.score[0], begin.ends.word[0], begin.ends.start[0]
    old, new, row, count = scratch.one, scratch.other, scratch.row, len(begin.tokens.node)
    old.node[:count], old.score[:count] = begin.tokens.node, begin.tokens.score
    old.past[:count], old.since[:count] = begin.tokens.past, begin.tokens.since
    left_out = begin.anything
    for frame in range(frames):
        best = ends.score[frame, 0]
        for i in range(count):
            best = max(best, old.score[i, 0], old.score[i, 1])
        floor = best - beam
        entry = (ends.score[frame, 0], ends.word[frame, 0], begin_frame + frame)
        count = _step(log_probs[frame], tree, scale, entry, floor, old, count, new, row)
        old, new = new, old
        for i in range(count):
            row[old.node[i]] = -1
        left_out += anything[frame]
        put(ends, frame + 1, left_out, NO_WORD, 0)
        _end_words(ends, frame + 1, tree, bigrams, scale, backwards, floor, old, count)
    last = Ends(ends.score[frames:].copy(), ends.word[frames:].copy(), ends.start[frames:].copy())
    return ends, WordsBefore(_copied(old, count), last, left_out)
