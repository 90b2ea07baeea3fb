"""The best sequences of common words over the frames of one head: what else could have been said.

Token passing (Young, Russell and Thornton 1989) over a prefix tree in the topology of CTC (Graves et al. 2006), with a
bigram language model whose unigrams are looked ahead (Ortmanns, Ney and Eiden 1996). A token stands in the label or in
the blank of a node; of two that meet, the better one survives. Compiled at first use, and the machine code is kept.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled
from streaming.symbols import BLANK, BOUND
from streaming.word_tree import WordTree

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
NEVER = np.float32(-1e30)
NO_WORD = -1


class Bigrams(NamedTuple):
    """A language model over n words.

    Attributes:
        unigram: float32[n], log-probabilities.
        backoff: float32[n], log-weights of the words after which an unseen word comes.
        first: int32[n + 1]; the known followers of word i are first[i] to first[i + 1], without the end.
        follower: int32[m], words, rising for each predecessor.
        log_prob: float32[m], log-probability of the follower after the word.
    """

    unigram: Floats
    backoff: Floats
    first: Ints
    follower: Ints
    log_prob: Floats


class Ends(NamedTuple):
    """The best tokens that have just ended a word, best first and of different words.

    Row t holds those after t frames. `score` float32[t + 1, k] is NEVER where there is none, `word` int32 NO_WORD where
    the token began in the midst of the context, `start` int32 the frame in which the bound before the word began.
    """

    score: Floats
    word: Ints
    start: Ints


@compiled
def affinity(bigrams: Bigrams, first: int, second: int) -> float:
    """The pair's log P(second | first) − log P(second); 0 where a word is unknown."""
    if first < 0 or second < 0:
        return 0.0
    low, high = bigrams.first[first], bigrams.first[first + 1]
    while low < high:
        middle = (low + high) // 2
        if bigrams.follower[middle] < second:
            low = middle + 1
        else:
            high = middle
    if low < bigrams.first[first + 1] and bigrams.follower[low] == second:
        return float(bigrams.log_prob[low] - bigrams.unigram[second])
    return float(bigrams.backoff[first])


@compiled
def put(ends: Ends, row: int, score: float, word: int, start: int) -> None:
    """Insert a token into a row, which keeps its order, and of each word only the best token."""
    scores, words, starts = ends.score[row], ends.word[row], ends.start[row]
    place = len(scores) - 1
    for i in range(len(scores)):
        if words[i] == word and scores[i] > NEVER:
            place = i
            break
    if scores[place] >= score:
        return
    while place > 0 and scores[place - 1] < score:
        scores[place], words[place], starts[place] = scores[place - 1], words[place - 1], starts[place - 1]
        place -= 1
    scores[place], words[place], starts[place] = score, word, start


@compiled
def empty_ends(rows: int, keep: int) -> Ends:
    """Rows without a token."""
    return Ends(
        np.full((rows, keep), NEVER, np.float32),
        np.full((rows, keep), NO_WORD, np.int32),
        np.zeros((rows, keep), np.int32),
    )


class Tokens(NamedTuple):
    """Tokens side by side, one row for each node of the tree that holds any.

    `node` int32[n]; of [:, 0] the token in the label and [:, 1] the one in the blank: `score` float32[n, 2], `past`
    int32[n, 2] the word before and `since` int32[n, 2] the frame in which the bound after that word began.
    """

    node: Ints
    score: Floats
    past: Ints
    since: Ints


@compiled
def _no_tokens(most: int) -> Tokens:
    """Room for tokens in `most` nodes. Memory that is never touched costs nothing."""
    return Tokens(
        np.empty(most, np.int32),
        np.empty((most, 2), np.float32),
        np.empty((most, 2), np.int32),
        np.empty((most, 2), np.int32),
    )


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
def word_ends(
    log_probs: Floats,
    open_scores: Floats,
    tree: WordTree,
    bigrams: Bigrams,
    scale: float,
    beam: float,
    keep: int,
    backwards: bool,
) -> Ends:
    """The best tokens at every frame.

    Args:
        log_probs: float32[t, v] of one head; in reverse order, as the tree's words, where `backwards`.
        open_scores: float32[k], k ≤ t + 1; open_scores[i] is the score of i first frames heard as anything at all.
        tree: the words in the symbols of the head.
        bigrams: the language model.
        scale: weight of the language model.
        beam: tokens worse than the best by more are dropped.
        keep: tokens kept a frame.
        backwards: words are met from the last to the first.
    """
    frames, nodes = len(log_probs), len(tree.symbol)
    ends = empty_ends(frames + 1, keep)
    ends.score[0, 0] = 0.0
    old, new, row, count = _no_tokens(nodes), _no_tokens(nodes), np.full(nodes, -1, np.int32), 0
    for frame in range(frames):
        best = ends.score[frame, 0]
        for i in range(count):
            best = max(best, old.score[i, 0], old.score[i, 1])
        floor = best - beam
        entry = (ends.score[frame, 0], ends.word[frame, 0], frame)
        count = _step(log_probs[frame], tree, scale, entry, floor, old, count, new, row)
        old, new = new, old
        for i in range(count):
            row[old.node[i]] = -1
        if frame + 1 < len(open_scores):
            put(ends, frame + 1, open_scores[frame + 1], NO_WORD, 0)
        _end_words(ends, frame + 1, tree, bigrams, scale, backwards, floor, old, count)
    return ends


@compiled
def in_bounds(log_probs: Floats, ends: Ends) -> Ends:
    """The tokens that stand in the bound after their word: row t holds those after frame t, float32[t, k]."""
    frames, keep = len(log_probs), ends.score.shape[1]
    bounds = empty_ends(frames, keep)
    for frame in range(frames):
        for i in range(keep):
            if ends.score[frame, i] > NEVER:
                entered = ends.score[frame, i] + log_probs[frame, BOUND]
                put(bounds, frame, entered, ends.word[frame, i], ends.start[frame, i])
            if frame > 0 and bounds.score[frame - 1, i] > NEVER:
                stay = bounds.score[frame - 1, i] + log_probs[frame, BOUND]
                put(bounds, frame, stay, bounds.word[frame - 1, i], bounds.start[frame - 1, i])
    return bounds
