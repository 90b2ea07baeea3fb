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
    _, nearest = faiss.knn(vectors, few, 1, metric=faiss.METRIC_INNER_PRODUCT)
    owner = nearest[:, 0]
    counts = _shares(np.bincount(owner, minlength=len(few)), groups)
    parts = [_means(vectors[owner == group], int(n), _STEPS, seed) for group, n in enumerate(counts) if n]
    return _means(vectors, groups, _LAST_STEPS, seed, np.concatenate(parts))


def _shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """`total`, at most the sum of the sizes, shared out by size: none gets more than that, an empty one nothing."""
    ends = np.round(np.cumsum(sizes) * (total / sizes.sum())).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0), np.int64)


def _means(
    vectors: NDArray[np.float32], groups: int, steps: int, seed: int, first: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    kmeans: Any = faiss.Kmeans(
        vectors.shape[1],
        groups,
        niter=steps,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    kmeans.train(np.ascontiguousarray(vectors), init_centroids=first)
    return np.asarray(kmeans.centroids, np.float32).reshape(groups, -1)
