"""Words of a window -> targets of both alignment heads, with word bounds before, between and after."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streaming.symbols import character_sequence, phoneme_sequence
from training.compact.cache import CachedWindow
from training.compact.g2p import read_dictionary

Pronounce = Callable[[Sequence[str]], list[tuple[str, ...]]]


class Lexicon:
    """Words -> one pronunciation each: the dictionary's first, else the model's."""

    def __init__(self, dictionary: Path, fallback: Pronounce) -> None:
        self._pronunciations: dict[str, tuple[str, ...]] = {}
        for word, phonemes in read_dictionary(dictionary):
            self._pronunciations.setdefault(word, phonemes)
        self._fallback = fallback

    def add(self, words: Iterable[str]) -> int:
        """Pronounce the words that the dictionary lacks; returns how many those were."""
        missing = sorted(set(words) - self._pronunciations.keys())
        for first in range(0, len(missing), 512):
            some = missing[first : first + 512]
            self._pronunciations.update(zip(some, self._fallback(some), strict=True))
        return len(missing)

    def __getitem__(self, word: str) -> tuple[str, ...]:
        return self._pronunciations[word]


@dataclass(frozen=True, slots=True)
class Target:
    """int64 symbol ids of one window for each head; empty where nothing whole is heard."""

    characters: Tensor
    phonemes: Tensor


def target_of(window: CachedWindow, lexicon: Lexicon) -> Target:
    """The targets of one window."""
    words = [word for word, _, _ in window.words]
    if not words:
        empty = torch.zeros(0, dtype=torch.int64)
        return Target(empty, empty)
    phonemes = phoneme_sequence([lexicon[word] for word in words])
    return Target(
        torch.from_numpy(character_sequence(words).astype(np.int64)), torch.from_numpy(phonemes.astype(np.int64))
    )
