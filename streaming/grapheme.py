"""Pronunciations of words by the model folder's grapheme-to-phoneme network: several per word, best first.

Letters -> CTC over ARPAbet with three slots a letter (``training.g2p``); a prefix beam (Hannun et al. 2014) over the
slots gives the alternatives.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streaming.encoder import open_session
from streaming.model_folder import ModelFolder
from streaming.symbols import BLANK, CHARACTERS, PHONEMES

SLOTS_PER_LETTER = 3
_LETTER_ID = {letter: index for index, letter in enumerate(CHARACTERS)}
_LONGEST = 64
_NEVER = -1e30


def _log_add(a: float, b: float) -> float:
    return float(np.logaddexp(a, b))


def prefix_beam(
    log_probs: NDArray[np.float32], beam: int = 6, floor: float = -5.0
) -> list[tuple[tuple[int, ...], float]]:
    """float32[t, v] -> label sequences with their log-probabilities, best first.

    Symbols below `floor` in a slot are not tried there.
    """
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}  # prefix -> (ends in blank, ends in label)
    for slot in log_probs:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        symbols = [int(s) for s in np.flatnonzero(slot > floor)]
        for prefix, (blank, label) in beams.items():
            total = _log_add(blank, label)
            for symbol in symbols:
                p = float(slot[symbol])
                if symbol == BLANK:
                    b, n = grown.get(prefix, (_NEVER, _NEVER))
                    grown[prefix] = (_log_add(b, total + p), n)
                    continue
                longer = (*prefix, symbol)
                start = total
                if prefix and prefix[-1] == symbol:
                    b, n = grown.get(prefix, (_NEVER, _NEVER))
                    grown[prefix] = (b, _log_add(n, label + p))
                    start = blank
                b, n = grown.get(longer, (_NEVER, _NEVER))
                grown[longer] = (b, _log_add(n, start + p))
        beams = dict(sorted(grown.items(), key=lambda item: -_log_add(*item[1]))[:beam])
    return sorted(((p, _log_add(*scores)) for p, scores in beams.items()), key=lambda item: -item[1])


class OnnxPronouncer:
    """Words in a-z and ' -> pronunciations in ARPAbet without stress."""

    def __init__(self, folder: ModelFolder, most: int = 3, margin: float = 2.5) -> None:
        """At most `most` per word, none less probable than the best by more than `margin` nats."""
        self._session: onnxruntime.InferenceSession = open_session(folder, "g2p.onnx")
        self._most, self._margin = most, margin

    def pronounce(self, words: Sequence[str]) -> list[list[tuple[str, ...]]]:
        """For each word its pronunciations, best first. Words over 64 letters are cut there."""
        found: list[list[tuple[str, ...]]] = [[] for _ in words]
        order = sorted(range(len(words)), key=lambda i: len(words[i]))
        for first in range(0, len(order), 256):
            rows = order[first : first + 256]
            some = [words[i][:_LONGEST] for i in rows]
            letters = np.zeros((len(rows), max(map(len, some))), np.int64)
            for row, word in enumerate(some):
                letters[row, : len(word)] = [_LETTER_ID[letter] for letter in word]
            log_probs = self._session.run(None, {"letters": letters})[0]
            for row, i in enumerate(rows):
                ranked = prefix_beam(log_probs[row, : SLOTS_PER_LETTER * len(some[row])])
                best = ranked[0][1]
                found[i] = [
                    tuple(PHONEMES[s] for s in labels)
                    for labels, score in ranked[: self._most]
                    if labels and score > best - self._margin
                ]
        return found
