"""The control: an encoder that has learnt nothing. Its figures are what chance and the way of counting give.

Log-mel frames, pooled as serving pools spans, and letter pairs of terms go through fixed random projections.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from streaming.features import HOP, LogMel
from streaming.spans import FRAME_SAMPLES, pool_spans
from training.evaluation.encoders import Window, spans_of, windows
from training.evaluation.retrieval import Floats

_CONTEXT_FRAMES = 288
_ALPHABET = 64


class UntrainedEncoder:
    """Random projections of sound and of letters into one space, the same for the same seed."""

    def __init__(self, dim: int = 256, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.dim = dim
        self._log_mel = LogMel()
        bins = self._log_mel(np.ones(HOP * 4, np.float32)).shape[0]
        self._sound = rng.standard_normal((6 * bins, dim)).astype(np.float32)
        self._letters = rng.standard_normal((_ALPHABET * _ALPHABET, dim)).astype(np.float32)

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """Audio float32[n] each -> per row float32[s, dim]."""
        return [np.concatenate([self._piece(row, w.first, w.frames, w.new_from) for w in _heard(row)]) for row in rows]

    def _piece(self, row: Floats, first: int, frames: int, new_from: int) -> Floats:
        mel = self._log_mel(row[first * FRAME_SAMPLES :][: frames * FRAME_SAMPLES])
        pairs = mel[:, : 2 * frames].reshape(len(mel), frames, 2).mean(axis=2).T
        pooled = pool_spans(np.ascontiguousarray(pairs), spans_of(frames, new_from))
        return _unit((pooled - pooled.mean(axis=1, keepdims=True)) @ self._sound)

    def texts(self, texts: Sequence[str]) -> Floats:
        """-> float32[n, dim]."""
        counts = np.zeros((len(texts), len(self._letters)), np.float32)
        for row, text in enumerate(texts):
            codes = [ord(letter) % _ALPHABET for letter in f" {text.lower()} "]
            np.add.at(counts[row], [a * _ALPHABET + b for a, b in itertools.pairwise(codes)], 1.0)
        return _unit(counts @ self._letters)


def _heard(row: Floats) -> list[Window]:
    return windows(len(row) // FRAME_SAMPLES, _CONTEXT_FRAMES)


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)
