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


@compiled
def _step(
    log_probs: Floats,
    tree: WordTree,
    scale: float,
    entry: float,
    entry_word: int,
    frame: int,
    floor: float,
    score: Floats,
    past: Ints,
    since: Ints,
    active: Ints,
    new: tuple[Floats, Ints, Ints],
    touched: Ints,
) -> int:
    """Move every token over one frame. Tokens: [0] in the label, [1] in the blank; returns how many nodes hold one.

    `score`, `past` and `since` [2, n] are read, `new` (a tuple of the same three) is written; `active` lists the nodes
    that are read and then those that were written.
    """
    new_score, new_past, new_since = new
    symbols, ahead = tree.symbol, tree.look_ahead
    count = 0
    if entry > floor:
        new_score[0, 0], new_past[0, 0], new_since[0, 0] = entry + log_probs[BOUND], entry_word, frame
        touched[count] = 0
        count += 1
    before = active[-1]
    for i in range(before):
        node = active[i]
        better = 1 if score[1, node] > score[0, node] else 0
        best = score[better, node]
        if best <= floor:
            continue
        if new_score[0, node] <= NEVER and new_score[1, node] <= NEVER:
            touched[count] = node
            count += 1
        stay = score[0, node] + log_probs[symbols[node]]
        if stay > new_score[0, node]:
            new_score[0, node], new_past[0, node], new_since[0, node] = stay, past[0, node], since[0, node]
        # Only this node leads into its own blank.
        new_score[1, node] = best + log_probs[BLANK]
        new_past[1, node], new_since[1, node] = past[better, node], since[better, node]
        for child in range(tree.first_child[node], tree.first_child[node + 1]):
            # The same symbol twice needs a blank between.
            source = 1 if symbols[child] == symbols[node] else better
            moved = score[source, node] - scale * (ahead[node] - ahead[child])
            if moved <= floor:
                continue
            moved += log_probs[symbols[child]]
            if new_score[0, child] <= NEVER and new_score[1, child] <= NEVER:
                touched[count] = child
                count += 1
            if moved > new_score[0, child]:
                new_score[0, child], new_past[0, child] = moved, past[source, node]
                new_since[0, child] = since[source, node]
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
    score: Floats,
    past: Ints,
    since: Ints,
    nodes: Ints,
    count: int,
) -> None:
    """Put the tokens of the nodes in which words end into a row of `ends`."""
    for i in range(count):
        node = nodes[i]
        better = 1 if score[1, node] > score[0, node] else 0
        if score[better, node] <= floor:
            continue
        for j in range(tree.first_word[node], tree.first_word[node + 1]):
            word = tree.words[j]
            other = past[better, node]
            first, second = (word, other) if backwards else (other, word)
            model = bigrams.unigram[word] + affinity(bigrams, first, second) - tree.look_ahead[node]
            put(ends, row, score[better, node] + scale * model, word, since[better, node])


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
    score, new_score = np.full((2, nodes), NEVER, np.float32), np.full((2, nodes), NEVER, np.float32)
    past, new_past = np.zeros((2, nodes), np.int32), np.zeros((2, nodes), np.int32)
    since, new_since = np.zeros((2, nodes), np.int32), np.zeros((2, nodes), np.int32)
    active, touched = np.zeros(nodes + 1, np.int32), np.zeros(nodes + 1, np.int32)
    for frame in range(frames):
        best = ends.score[frame, 0]
        for i in range(active[-1]):
            best = max(best, score[0, active[i]], score[1, active[i]])
        floor = best - beam
        entry, entry_word = ends.score[frame, 0], ends.word[frame, 0]
        new = (new_score, new_past, new_since)
        count = _step(
            log_probs[frame], tree, scale, entry, entry_word, frame, floor, score, past, since, active, new, touched
        )
        for i in range(active[-1]):
            score[0, active[i]] = NEVER
            score[1, active[i]] = NEVER
        score, new_score = new_score, score
        past, new_past = new_past, past
        since, new_since = new_since, since
        active, touched = touched, active
        active[-1] = count
        if frame + 1 < len(open_scores):
            put(ends, frame + 1, open_scores[frame + 1], NO_WORD, 0)
        _end_words(ends, frame + 1, tree, bigrams, scale, backwards, floor, score, past, since, active, count)
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
