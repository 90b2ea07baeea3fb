"""Texts of spoken forms become unit vectors, in batches of like length, each distinct text once."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.errors import ModelError

BATCH_SIZE = 256
Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of steps that are done and their total."""


class TextEncoder(Protocol):
    """The text tower: texts to vectors."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        ...

    @property
    def encoder_id(self) -> str:
        """Names the tower and its weights."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Lower-case words parted by one blank each -> float32[n, dim]."""
        ...


def embed_texts(
    texts: Sequence[str],
    encoder: TextEncoder,
    progress: Progress | None = None,
    batch_size: int = BATCH_SIZE,
) -> NDArray[np.float32]:
    """Embed texts.

    Args:
        texts: of any lengths.
        encoder: the text tower; called with at most `batch_size` texts, sorted by length.
        progress: told after each batch.
        batch_size: at least 1.

    Returns:
        float32[n, dim], unit norm, in the order of `texts`.

    Raises:
        ModelError: the encoder gives another shape, or a vector that is zero or not finite.
    """
    distinct: dict[str, int] = {}
    rows = [distinct.setdefault(text, len(distinct)) for text in texts]
    unique = list(distinct)
    order = sorted(range(len(unique)), key=lambda index: len(unique[index]))
    vectors = np.empty((len(unique), encoder.dim), np.float32)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        vectors[batch] = _unit(encoder.embed([unique[index] for index in batch]), len(batch), encoder)
        if progress is not None:
            progress(start + len(batch), len(order))
    return vectors[rows]


def _unit(vectors: NDArray[np.float32], n: int, encoder: TextEncoder) -> NDArray[np.float32]:
    if vectors.shape != (n, encoder.dim):
        raise ModelError(
            f"the text encoder {encoder.encoder_id} gave vectors of shape {list(vectors.shape)} for {n} forms of "
            f"dimension {encoder.dim}; install the model folder again"
        )
    norms = np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    if not bool(np.all(np.isfinite(norms) & (norms > 0))):
        raise ModelError(
            f"the text encoder {encoder.encoder_id} gave a vector that is zero or not finite; install the model "
            f"folder again"
        )
    unit: NDArray[np.float32] = (vectors / norms).astype(np.float32)
    return unit
