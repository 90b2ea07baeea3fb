"""Lists of 4-bit codes answer as a matrix product does, as far as 8 bits an axis tell."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.centroids import nearest_means
from index_builder.scanned_lists import scanned_lists, twice


def _vectors(n: int, dim: int = 16) -> NDArray[np.float32]:
    some = np.random.default_rng(3).standard_normal((n, dim))
    return np.asarray(some / np.linalg.norm(some, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("means", [1, 9])
def test_products_are_those_of_the_vectors(means: int) -> None:
    """Looking into all lists, the nearest is found, and its product to two digits; empty lists do no harm."""
    vectors = _vectors(700)
    index = scanned_lists(vectors, vectors[:means], nearest_means(vectors, vectors[:means]))
    index.nprobe = means
    queries = vectors[:50]
    products, found = index.search(twice(queries), 3)
    assert found[:, 0].tolist() == list(range(50))
    expected = np.take_along_axis(queries @ vectors.T, found, axis=1)
    np.testing.assert_allclose(products, expected, atol=0.03)


def test_a_query_looks_into_the_lists_of_the_nearest_means() -> None:
    """With one probe nothing of another list is found."""
    vectors = _vectors(400)
    owners = nearest_means(vectors, vectors[:7])
    index = scanned_lists(vectors, vectors[:7], owners)
    index.nprobe = 1
    queries = _vectors(900)[400:]
    _, found = index.search(twice(queries), 5)
    nearest = np.argmax(queries @ vectors[:7].T, axis=1)
    assert all(form < 0 or owners[form] == list_of for row, list_of in zip(found, nearest, strict=True) for form in row)


def test_written_and_read_again_it_answers_the_same() -> None:
    """An axis in which all vectors are the same is no special case."""
    vectors = _vectors(200)
    vectors[:, 3] = 0.25
    index = scanned_lists(vectors, vectors[:4], nearest_means(vectors, vectors[:4]))
    read = faiss.deserialize_index(faiss.serialize_index(index))
    for one, other in zip(index.search(twice(vectors), 4), read.search(twice(vectors), 4), strict=True):
        np.testing.assert_array_equal(one, other)
