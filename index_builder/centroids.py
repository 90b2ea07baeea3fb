"""The means of as many groups of like vectors as an inverted file has lists.

K-means over all groups at once would be most of an index's time, and start far from where it ends. Here few groups are
found, then those within each of them, and two steps over all groups settle the bounds between.
"""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

_STEPS, _LAST_STEPS = 10, 2
# From so many groups the way is worth it.
_AT_ONCE = 256


def centroids_of(vectors: NDArray[np.float32], groups: int, seed: int) -> NDArray[np.float32]:
    """Means of like vectors, which belong to the mean of the largest inner product.

    Args:
        vectors: float32[n, dim], n at least `groups`.
        groups: at least 1.
        seed: of the first choice of means.

    Returns:
        float32[groups, dim], unit norm.
    """
    if groups < _AT_ONCE:
        return _means(vectors, groups, _STEPS, seed)
    few = _means(vectors, int(np.sqrt(groups)), _STEPS, seed)
    owner = nearest_means(vectors, few)
    counts = _shares(np.bincount(owner, minlength=len(few)), groups)
    parts = [_means(vectors[owner == group], int(n), _STEPS, seed) for group, n in enumerate(counts) if n]
    means = np.concatenate(parts)
    for _ in range(_LAST_STEPS):
        means = _moved(vectors, means)
    return means


def nearest_means(vectors: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.int64]:
    """The mean of the largest inner product with each vector, int64[n].

    Args:
        vectors: float32[n, dim].
        means: float32[groups, dim], unit norm: among such the nearest is the one of the largest inner product, and for
            the nearest alone FAISS keeps no matrix of distances.
    """
    _, nearest = faiss.knn(vectors, means, 1, metric=faiss.METRIC_L2)
    return np.ascontiguousarray(nearest[:, 0], np.int64)


def _shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """`total`, at most the sum of the sizes, shared out by size: none gets more than that, an empty one nothing."""
    ends = np.round(np.cumsum(sizes) * (total / sizes.sum())).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0), np.int64)


def _moved(vectors: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each mean in the middle of the vectors that are nearest to it; one without any stays where it is."""
    owner = nearest_means(vectors, means)
    order = np.argsort(owner, kind="stable")
    there, starts = np.unique(owner[order], return_index=True)
    sums = np.add.reduceat(vectors[order], starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    moved = means.copy()
    moved[there] = np.divide(sums, lengths, out=means[there], where=lengths > 0)
    return moved


def _means(vectors: NDArray[np.float32], groups: int, steps: int, seed: int) -> NDArray[np.float32]:
    kmeans: Any = faiss.Kmeans(
        vectors.shape[1],
        groups,
        niter=steps,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    kmeans.train(np.ascontiguousarray(vectors))
    return np.asarray(kmeans.centroids, np.float32).reshape(groups, -1)
