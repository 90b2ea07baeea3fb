"""The stream of an encoder that hears every context anew."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext


class ContextEncoder(Protocol):
    """Encodes contexts one by one; stateless."""

    def encode(self, context: NDArray[np.float32]) -> EncodedContext:
        """float32[context_samples] -> one row per 320 samples."""
        ...


class WholeContexts:
    """A `StreamEncoder` that remembers nothing."""

    def __init__(self, encoder: ContextEncoder) -> None:
        self._encoder = encoder

    @property
    def nbytes(self) -> int:
        """Nothing."""
        return 0

    def encode(self, context: NDArray[np.float32], end_sample: int, *, is_kept: bool = True) -> EncodedContext:
        """The context, whatever came before."""
        return self._encoder.encode(context)

    def reset(self) -> None:
        """Nothing is to be forgotten."""
