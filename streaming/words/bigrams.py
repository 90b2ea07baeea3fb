"""A bigram language model in flat arrays, as compiled code reads it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.compiled import compiled

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


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
