"""Search in turned axes finds what the exact search finds, as far as its facts tell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.entries import Entry, make_form
from streaming.index import index_folder
from streaming.index.mapped_arrays import pack_array
from streaming.index.vector_search import EXACT, ExactSearch, RescoredSearch, SearchFacts, unpack_search
from streaming.term_index import TermIndex

DIM, AXES = 16, 6


def vectors_in_few_axes(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors that lie in `AXES` of `DIM` axes but for a little, exact in half precision."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(99).standard_normal((DIM, DIM)))
    some = np.concatenate([rng.standard_normal((n, AXES)), 0.02 * rng.standard_normal((n, DIM - AXES))], axis=1) @ turn
    unit = some / np.linalg.norm(some, axis=1, keepdims=True)
    return np.asarray(unit.astype(np.float16), np.float32)


def rescored(vectors: NDArray[np.float32], kept: int = 20, lists: int = 0, probes: int = 1) -> RescoredSearch:
    """A search in the `AXES` axes that the vectors fill, in lists where they are asked for."""
    turn = np.ascontiguousarray(np.linalg.svd(vectors, full_matrices=False)[2][:AXES].T)
    inner: Any = faiss.IndexFlatIP(AXES)
    if lists:
        inner = faiss.index_factory(AXES, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        inner.train(vectors @ turn)
        inner.nprobe = probes
    inner.add(vectors @ turn)
    linear = faiss.LinearTransform(DIM, AXES, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(turn.T).ravel(), linear.A)
    linear.is_trained = True
    facts = SearchFacts("lists" if lists else "axes", AXES, lists, probes if lists else 0, kept)
    return RescoredSearch(faiss.IndexPreTransform(linear, inner), vectors.astype(np.float16), facts)


def test_rescoring_gives_the_exact_neighbours_and_cosines() -> None:
    """What few axes confuse, all axes put in order: the same forms and similarities as a matrix product."""
    vectors, queries = vectors_in_few_axes(500), vectors_in_few_axes(40, seed=1)
    found, similarities = rescored(vectors).search(queries, 5)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    np.testing.assert_array_equal(found, np.argsort(-exact, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(similarities, np.take_along_axis(exact, found, axis=1), atol=1e-6)
    assert (found.dtype, similarities.dtype) == (np.dtype(np.int64), np.dtype(np.float32))


def test_lists_find_most_and_all_lists_all() -> None:
    """With every list looked into, only the eight bits of an axis stand between the search and the exact one."""
    vectors, queries = vectors_in_few_axes(2_000), vectors_in_few_axes(60, seed=1)
    nearest, _ = ExactSearch.of(vectors).search(queries, 10)

    def recall(probes: int) -> float:
        found, _ = rescored(vectors, 60, lists=20, probes=probes).search(queries, 10)
        return float((found[:, :, None] == nearest[:, None, :]).any(axis=2).mean())

    assert recall(20) == 1.0
    assert 0.2 < recall(1) < recall(6) < 1.0


def test_as_many_neighbours_as_asked_for_even_from_empty_lists() -> None:
    """Where the lists looked into hold too few forms, others fill up, none twice, with their true similarity."""
    vectors, queries = vectors_in_few_axes(60), vectors_in_few_axes(9, seed=1)
    found, similarities = rescored(vectors, 20, lists=30, probes=1).search(queries, 50)
    assert found.shape == (9, 50)
    assert found.min() >= 0
    assert all(len(set(row)) == 50 for row in found.tolist())
    np.testing.assert_allclose(similarities, np.take_along_axis(queries @ vectors.T, found, axis=1), atol=1e-6)
    assert (np.diff(similarities, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", ["exact", "axes", "lists"])
def test_packed_search_comes_back(kind: str) -> None:
    """The same neighbours, cosines and vectors after the bytes; and the same bytes again."""
    vectors, queries = vectors_in_few_axes(300), vectors_in_few_axes(7, seed=1)
    search = ExactSearch.of(vectors) if kind == "exact" else rescored(vectors, lists=8 if kind == "lists" else 0)
    content, apart = search.pack()
    beside = None if apart is None else b"".join(pack_array(apart))
    back = unpack_search("index.faiss", content, beside, search.facts, (300, DIM))
    assert (back.dim, back.count, back.facts) == (DIM, 300, search.facts)
    for one, other in zip(search.search(queries, 4), back.search(queries, 4), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(back.vectors_of(np.array([5, 0, 5])), vectors[[5, 0, 5]])
    assert back.pack()[0] == content


def test_parts_that_do_not_fit_are_refused() -> None:
    """Another structure, another count, vectors missing or too many, an unknown kind: each is told."""
    vectors = vectors_in_few_axes(300)
    flat, _ = ExactSearch.of(vectors).pack()
    search = rescored(vectors)
    content, apart = search.pack()
    beside = b"".join(pack_array(apart))
    for facts, structure, array, shape, message in (
        (search.facts, flat, beside, (300, DIM), "not an IndexPreTransform"),
        (EXACT, content, None, (300, DIM), "not an IndexFlatIP"),
        (EXACT, flat, beside, (300, DIM), "do not go with the search 'exact'"),
        (search.facts, content, None, (300, DIM), "do not go with the search 'axes'"),
        (search.facts, content, beside, (299, DIM), "the manifest says 299"),
        (replace(search.facts, kind="graph"), content, beside, (300, DIM), "unknown here"),
        (replace(search.facts, rescored=0), content, beside, (300, DIM), "at least 1"),
        (search.facts, content, b"".join(pack_array(apart[:-1])), (300, DIM), "instead of"),
    ):
        with pytest.raises(ValueError, match=message):
            unpack_search("index.faiss", structure, array, facts, shape)
    with pytest.raises(ValueError, match="does not go with"):
        RescoredSearch(search._turned, apart[:-1], search.facts)


@pytest.mark.parametrize("mapped_bytes", [1, 1 << 24])
def test_index_that_is_searched_in_lists_survives_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_bytes: int
) -> None:
    """Read or mapped: the same hits, vectors and facts, from a folder that holds the vectors apart."""
    monkeypatch.setattr(index_folder, "MAPPED_BYTES", mapped_bytes)
    vectors, queries = vectors_in_few_axes(300), vectors_in_few_axes(7, seed=1)
    search = rescored(vectors, lists=8, probes=2)
    entries = [Entry(f"id{i}", f"term {i}", {}) for i in range(300)]
    forms = [make_form(i, "ion", []) for i in range(300)]
    index = TermIndex(entries, forms, search, np.zeros((300, 4), np.float32), "e", "v1")
    index.save(tmp_path / "v")
    back = TermIndex.load(tmp_path / "v", "e")
    for one, other in zip(index.search(queries, 9), back.search(queries, 9), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(back.vectors, vectors)
    assert back.search_facts == search.facts
    assert (tmp_path / "v" / "vectors.npy").exists()
