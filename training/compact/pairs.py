"""Which of the texts of a batch a span says, and which are too near to count against it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def _stem(text: str) -> str:
    return text[:-2] if len(text) > 6 else text


def pair_masks(anchors: Sequence[str], candidates: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(positive, ignored) bool[n, m]: the same text; one holding the other's words or differing in its ending only."""
    index: dict[str, int] = {}
    for text in [*anchors, *candidates]:
        index.setdefault(text, len(index))
    a = torch.tensor([index[t] for t in anchors])
    c = torch.tensor([index[t] for t in candidates])
    positive = a[:, None] == c[None, :]
    columns_of_word: dict[str, list[int]] = {}
    columns_of_beginning: dict[str, list[int]] = {}
    columns_of_stem: dict[str, list[int]] = {}
    word_count = np.zeros(len(candidates), np.int64)
    for column, text in enumerate(candidates):
        words, stem = set(text.split(" ")), _stem(text)
        word_count[column] = len(words)
        for word in words:
            columns_of_word.setdefault(word, []).append(column)
        for end in range(1, len(stem) + 1):
            columns_of_beginning.setdefault(stem[:end], []).append(column)
        columns_of_stem.setdefault(stem, []).append(column)
    related = np.zeros((len(anchors), len(candidates)), bool)
    for row, text in enumerate(anchors):
        words, stem = set(text.split(" ")), _stem(text)
        shared = np.zeros(len(candidates), np.int64)
        for word in words:
            shared[columns_of_word.get(word, [])] += 1
        related[row] = (shared == word_count) | (shared == len(words))
        related[row, columns_of_beginning.get(stem, [])] = True
        for end in range(1, len(stem) + 1):
            related[row, columns_of_stem.get(stem[:end], [])] = True
    return positive, torch.from_numpy(related) & ~positive
