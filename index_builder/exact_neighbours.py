"""The exact nearest forms of some queries, to measure approximate search against: on a GPU where FAISS has one."""

from typing import Literal, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from streaming.index.half_precision import widened

Device: TypeAlias = Literal["cpu", "gpu"]

# Vectors that are single-precision numbers at one time.
_AT_ONCE = 1 << 14


def exact_neighbours(
    vectors: NDArray[np.float32] | NDArray[np.float16], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], Device]:
    """int64[m, k], the nearest by inner product first, and what computed them.

    FAISS's build without GPUs has no `get_num_gpus`, or counts none; a GPU is used only where one is counted.

    Args:
        vectors: float[n, dim], n at least `k`.
        queries: float32[m, dim].
        k: at least 1.
    """
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        resources = faiss.StandardGpuResources()
        _, nearest = faiss.knn_gpu(resources, queries, _single(vectors), k, metric=faiss.METRIC_INNER_PRODUCT)
        return np.asarray(nearest, np.int64), "gpu"
    best = np.full((len(queries), k), -np.inf, np.float32)
    nearest = np.full((len(queries), k), -1, np.int64)
    for first in range(0, len(vectors), _AT_ONCE):
        some = _single(vectors[first : first + _AT_ONCE])
        products, found = faiss.knn(queries, some, min(k, len(some)), metric=faiss.METRIC_INNER_PRODUCT)
        products, found = np.concatenate([best, products], axis=1), np.concatenate([nearest, found + first], axis=1)
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        best, nearest = np.take_along_axis(products, order, axis=1), np.take_along_axis(found, order, axis=1)
    return nearest, "cpu"


def _single(vectors: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.float32]:
    if vectors.dtype == np.float16:
        return widened(np.asarray(vectors, np.float16))
    return np.ascontiguousarray(vectors, np.float32)
