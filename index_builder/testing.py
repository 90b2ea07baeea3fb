"""Fakes of the builder's ports: deterministic, without a model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index_builder.build import build_index
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import assemble
from index_builder.pronounce import Word
from index_builder.report import IndexReport
from streaming.term_index import BACKGROUND_COLUMNS, Form, TermIndex

_LETTER_SOUNDS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "AE B K D EH F G HH IH JH K L M N AA P K R S T AH V W K Y Z".split(),
        strict=True,
    )
)


class HashEncoder:
    """A text tower whose vectors depend on the whole text and on nothing else; counts its calls."""

    def __init__(self, dim: int = 16, encoder_id: str = "hash-encoder") -> None:
        """Make vectors of length `dim`."""
        self.dim = dim
        self.encoder_id = encoder_id
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Any texts -> float32[n, dim], unit norm."""
        self.batches.append(len(texts))
        vectors = np.stack([self._vector(text) for text in texts])
        unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _vector(self, text: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(self.dim)


class LetterPronouncer:
    """Says each letter by one sound; counts the words it was asked for."""

    def __init__(self) -> None:
        """Nothing asked yet."""
        self.asked: list[str] = []

    def pronounce(self, words: Sequence[str]) -> list[list[Word]]:
        """One pronunciation per word, none for a word without letters."""
        self.asked += words
        ways = [tuple(_LETTER_SOUNDS[letter] for letter in word if letter != "'") for word in words]
        return [[way] if way else [] for way in ways]


def flat_background(forms: Sequence[Form]) -> NDArray[np.float32]:
    """The same statistics for every form: float32[n, 4], means 0 and deviations 1."""
    return np.tile(np.array([0, 1, 0, 1], np.float32), (len(forms), BACKGROUND_COLUMNS // 4))


def built_index(text: str, version: str, glossary_id: str = "acl") -> tuple[TermIndex, IndexReport]:
    """The index of a glossary file with that text, and its report."""
    file = GlossaryFile(Path("terms.csv"), text.encode())
    glossary = assemble(glossary_id, [parse_glossary(file, Languages())])
    index = build_index(
        glossary, HashEncoder(), LetterPronouncer(), flat_background, version=version, sources=[file.source]
    )
    return index, IndexReport.of(glossary, index, 0.0)
