"""The exact nearest forms of some queries, to measure approximate search against: on a GPU where FAISS has one."""

from typing import Literal, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

Device: TypeAlias = Literal["cpu", "gpu"]


def exact_neighbours(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], Device]:
    """int64[m, k], the nearest by inner product first, and what computed them.

    FAISS's build without GPUs has no `get_num_gpus`, or counts none; a GPU is used only where one is counted.
    """
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        resources = faiss.StandardGpuResources()
        _, nearest = faiss.knn_gpu(resources, queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return np.asarray(nearest, np.int64), "gpu"
    _, nearest = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(nearest, np.int64), "cpu"
