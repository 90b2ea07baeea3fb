"""A search is chosen by size and keeps what it promises, measured against the exact one."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.exact_neighbours import exact_neighbours
from index_builder.index_tuning import HeldOut, stand_ins, tuned_search
from streaming.index.turned_axes import turn_of
from streaming.index.vector_search import ExactSearch


def _vectors(n: int, dim: int = 48, axes: int = 12) -> NDArray[np.float32]:
    """Unit vectors in clusters that mostly lie in `axes` of `dim` axes."""
    rng = np.random.default_rng(5)
    turn, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    centres = rng.standard_normal((40, axes))
    inside = centres[rng.integers(0, 40, n)] + 0.6 * rng.standard_normal((n, axes))
    some = np.concatenate([inside, 0.05 * rng.standard_normal((n, dim - axes))], axis=1) @ turn
    unit = (some / np.linalg.norm(some, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    return np.asarray(unit, np.float32)


def test_exact_neighbours_are_those_of_a_matrix_product() -> None:
    """Without a GPU on the processor, and that is told."""
    vectors = _vectors(300)
    queries = vectors[:7] + 0.1
    nearest, device = exact_neighbours(vectors, queries, 5)
    np.testing.assert_array_equal(nearest, np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :5])
    assert device == "cpu"


def test_a_gpu_is_used_where_faiss_counts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is taken, and the device told."""
    asked = []

    def knn_gpu(
        resources: object, queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int, metric: int
    ) -> object:
        asked.append((resources, metric))
        return faiss.knn(queries, vectors, k, metric=metric)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "knn_gpu", knn_gpu, raising=False)
    vectors = _vectors(50)
    nearest, device = exact_neighbours(vectors, vectors[:3], 1)
    assert (nearest[:, 0].tolist(), device) == ([0, 1, 2], "gpu")
    assert asked == [("resources", faiss.METRIC_INNER_PRODUCT)]


def test_small_glossaries_are_searched_exactly() -> None:
    """Up to the bound there is nothing to tune and nothing lost."""
    search = tuned_search(_vectors(100), exact_numbers=100 * 48)
    assert isinstance(search, ExactSearch)
    assert (search.facts.kind, search.facts.recall) == ("exact", 1.0)


@pytest.mark.parametrize(("exact_numbers", "kind"), [(150_000, "axes"), (20_000, "lists")])
def test_larger_ones_keep_their_recall(exact_numbers: int, kind: str) -> None:
    """The recall that the facts tell is that of queries nobody tuned on, and it is about the target."""
    vectors = _vectors(4_000)
    search = tuned_search(vectors, target=0.95, exact_numbers=exact_numbers)
    facts = search.facts
    assert (facts.kind, facts.axes, facts.device) == (kind, 32, "cpu")
    queries = stand_ins(vectors, 400, np.random.default_rng(77))
    nearest, _ = exact_neighbours(vectors, queries, 10)
    assert HeldOut(queries, nearest).recall(search) == pytest.approx(facts.recall, abs=0.03)
    assert facts.recall > 0.92
    assert facts.milliseconds > 0
    assert facts.megabytes > 4_000 * 48 * 2 / 1e6
    if kind == "lists":
        assert 0 < facts.probes < facts.lists == 100


def test_higher_target_takes_more_work() -> None:
    """More lists are looked into for a higher recall."""
    vectors = _vectors(4_000)
    low, high = (tuned_search(vectors, target=target, exact_numbers=1_000).facts for target in (0.6, 0.99))
    assert low.probes < high.probes
    assert low.recall < high.recall


def test_a_target_out_of_reach_takes_all() -> None:
    """Vectors that fill all axes are compared in all, and in all lists, rather than with less than was asked for."""
    rng = np.random.default_rng(0)
    some = rng.standard_normal((1_500, 48))
    vectors = (some / np.linalg.norm(some, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    facts = tuned_search(vectors, target=1.0, exact_numbers=1_000).facts
    assert facts.axes == 48
    assert facts.recall > 0.99


def test_tuning_is_repeatable() -> None:
    """The same vectors give the same structure and the same facts, times apart."""
    one, other = (tuned_search(_vectors(3_000), target=0.9, exact_numbers=1_000) for _ in range(2))
    assert one.pack()[0] == other.pack()[0]
    assert (one.facts.probes, one.facts.recall) == (other.facts.probes, other.facts.recall)


def test_very_few_forms_can_be_in_lists() -> None:
    """Fewer forms than neighbours are asked for, or than a list is trained on, are no special case."""
    vectors = _vectors(6)
    search = tuned_search(vectors, exact_numbers=0)
    found, _ = search.search(vectors, 6)
    assert found[:, 0].tolist() == list(range(6))


def test_stand_ins_are_unit_and_no_forms() -> None:
    """Each lies off every form, at the cosine told from the mean of two."""
    vectors = _vectors(200)
    queries = stand_ins(vectors, 50, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    assert (queries @ vectors.T).max() < 0.9


def test_turn_keeps_inner_products_and_puts_the_longest_axes_first() -> None:
    """Orthonormal; the first axes hold nearly all of the vectors' length."""
    vectors = _vectors(500)
    turn = turn_of(vectors, np.random.default_rng(1), most=300)
    np.testing.assert_allclose(turn.T @ turn, np.eye(48), atol=1e-5)
    lengths = ((vectors @ turn) ** 2).mean(axis=0)
    assert lengths[:12].sum() > 0.95
    assert (np.diff(lengths[:12]) < 0.01).all()
