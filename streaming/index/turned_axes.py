"""Axes in which the vectors of an index are longest: a few of them tell most of any inner product."""

import numpy as np
from numpy.typing import NDArray


def turn_of(
    vectors: NDArray[np.float32] | NDArray[np.float16], rng: np.random.Generator, most: int = 30_000
) -> NDArray[np.float32]:
    """The axes in which the vectors are longest, longest first: float32[dim, dim], orthonormal columns.

    Of at most `most` vectors, and not of their distance from their mean: inner products must be kept.
    """
    some = vectors if len(vectors) <= most else vectors[np.sort(rng.choice(len(vectors), most, replace=False))]
    some = some.astype(np.float32)
    _, axes = np.linalg.eigh((some.T @ some).astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1], np.float32)
