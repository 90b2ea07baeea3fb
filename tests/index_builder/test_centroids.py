"""The means of an inverted file: as many as asked for, as good as those of k-means over all of them at once."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.centroids import centroids_of


def _vectors(n: int, dim: int = 12) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((60, dim))
    some = centres[rng.integers(0, len(centres), n)] + 0.5 * rng.standard_normal((n, dim))
    return np.asarray(some / np.linalg.norm(some, axis=1, keepdims=True), np.float32)


def _fit(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    """The mean inner product of the vectors with the nearest of the means."""
    return float((vectors @ centroids.T).max(axis=1).mean())


@pytest.mark.parametrize("groups", [1, 7, 255, 256, 400])
def test_there_are_as_many_means_as_asked_for(groups: int) -> None:
    """Few or many, of unit norm, and the same for the same vectors."""
    vectors = _vectors(4000)
    centroids = centroids_of(vectors, groups, 1)
    assert centroids.shape == (groups, vectors.shape[1])
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(centroids, centroids_of(vectors, groups, 1))


def test_many_means_fit_as_those_of_k_means_at_once() -> None:
    """The way over few groups loses nothing that a search would notice."""
    vectors = _vectors(12_000)
    slow = faiss.Kmeans(vectors.shape[1], 300, niter=10, spherical=True, seed=1)
    slow.train(vectors)
    assert _fit(vectors, centroids_of(vectors, 300, 1)) > _fit(vectors, np.asarray(slow.centroids)) - 0.002


def test_like_vectors_are_enough() -> None:
    """Where all vectors but a few are one, groups without a vector of their own do no harm."""
    vectors = np.tile(_vectors(1), (2000, 1))
    vectors[:40] = _vectors(40)
    centroids = centroids_of(vectors, 300, 1)
    assert centroids.shape == (300, vectors.shape[1])
    assert np.isfinite(centroids).all()
