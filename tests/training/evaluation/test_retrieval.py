import math
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.evaluation import retrieval
from training.evaluation.banks import Bank
from training.evaluation.retrieval import TIE, Ranking, RowVectors, rank_rows, retrieval_scores

DIM = 8


def unit(rng: np.random.Generator, n: int, dim: int = DIM) -> NDArray[np.float32]:
    """float32[n, dim], unit norm."""
    vectors = rng.standard_normal((n, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def make_bank(rng: np.random.Generator, variants: Sequence[int], sizes: tuple[int, ...]) -> Bank:
    """Entries 100, 101 … with so many random variants each."""
    starts = np.cumsum([0, *variants[:-1]]).astype(np.int64)
    return Bank(unit(rng, sum(variants)), starts, np.arange(100, 100 + len(variants)), sizes)


def brute_force(rows: Sequence[RowVectors], bank: Bank, size: int) -> tuple[list[int], list[float], list[bool]]:
    """Ranks of all occurrences, best score and rightness of each row, by plain loops."""
    ends = [*bank.starts[1:].tolist(), len(bank.vectors)]
    ranks, best, right = [], [], []
    for row in rows:
        scores = {}
        for group, start, end in zip(bank.groups[:size].tolist(), bank.starts.tolist(), ends, strict=False):
            scores[group] = max(float(s @ v) for s in row.vectors for v in bank.vectors[start:end])
        for said in row.truth:
            others = [score for group, score in scores.items() if group not in row.truth]
            ranks.append(1 + sum(score > scores[said] - TIE for score in others))
        top = max(scores, key=lambda group: scores[group])
        best.append(scores[top])
        right.append(top in row.truth)
    return ranks, best, right


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40)
def test_ranks_equal_brute_force_whatever_the_chunks(seed: int, spans_at_once: int, columns_at_once: int) -> None:
    """One pass in chunks of any size gives the ranks of the whole score matrix, for every nested bank."""
    rng = np.random.default_rng(seed)
    bank = make_bank(rng, rng.integers(1, 4, 30).tolist(), (12, 20, 30))
    rows = [
        RowVectors(f"r{i}", f"rec{i}", unit(rng, int(rng.integers(1, 9))), tuple(100 + rng.integers(0, 12, i % 3)))
        for i in range(8)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "_SPANS_AT_ONCE", spans_at_once)
        patch.setattr(retrieval, "_COLUMNS_AT_ONCE", columns_at_once)
        rankings = rank_rows(iter(rows), bank)
    assert [ranking.entries for ranking in rankings] == [12, 20, 30]
    for ranking in rankings:
        ranks, best, right = brute_force(rows, bank, ranking.entries)
        assert ranking.rank.tolist() == ranks
        np.testing.assert_allclose(ranking.best, best, atol=1e-6)
        assert ranking.is_right.tolist() == right
        assert ranking.is_no_term.tolist() == [not row.truth for row in rows]
        assert ranking.row_ids == tuple(row.row_id for row in rows)
        assert ranking.occurrence_group.tolist() == [group for row in rows for group in row.truth]


def test_a_variant_of_the_truth_is_no_error() -> None:
    """An alias that scores higher than the spoken form is the same entry: the rank stays 1."""
    vectors = np.eye(4, dtype=np.float32)
    bank = Bank(vectors, np.array([0, 2, 3]), np.array([7, 8, 9]), (3,))
    near_the_alias = np.array([[0.1, 0.9, 0.3, 0.0]], np.float32)
    (ranking,) = rank_rows([RowVectors("a", "", near_the_alias, (7,))], bank)
    assert ranking.rank.tolist() == [1]
    assert ranking.score[0] == pytest.approx(0.9)


def test_terms_of_one_row_do_not_beat_each_other() -> None:
    """Two terms are said in a row: both are first, whichever is surer; a term that was not said still counts."""
    bank = Bank(np.eye(3, dtype=np.float32), np.arange(3), np.array([1, 2, 3]), (3,))
    spans = np.array([[0.9, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.7]], np.float32)
    (ranking,) = rank_rows([RowVectors("a", "", spans, (1, 2))], bank)
    assert ranking.rank.tolist() == [1, 2]


def test_an_encoder_that_says_the_same_of_everything_finds_nothing() -> None:
    """Ties count against the truth."""
    bank = Bank(np.tile(np.array([[1.0, 0.0]], np.float32), (50, 1)), np.arange(50), np.arange(50), (50,))
    (ranking,) = rank_rows([RowVectors("a", "", np.array([[1.0, 0.0]], np.float32), (3,))], bank)
    assert ranking.rank.tolist() == [50]


def test_a_term_outside_the_smallest_bank_is_refused() -> None:
    """The message names the row and the entry."""
    bank = make_bank(np.random.default_rng(0), [1] * 5, (3, 5))
    with pytest.raises(SettingError, match=r"row 'x' names entry 104.*bank of 3"):
        rank_rows([RowVectors("x", "", unit(np.random.default_rng(1), 2), (104,))], bank)


def test_no_row_gives_empty_rankings() -> None:
    """Nothing in, nothing out, of the right types."""
    (ranking,) = rank_rows([], make_bank(np.random.default_rng(0), [1, 2], (2,)))
    assert (len(ranking.rank), len(ranking.best), ranking.row_ids) == (0, 0, ())
    assert retrieval_scores(ranking.rank) == {}


def test_scores_of_a_large_bank_are_never_held_whole() -> None:
    """4,000 spans against 60,000 terms: the score matrix alone would take 960 MB; the peak stays far below."""
    rng = np.random.default_rng(3)
    bank = Bank(unit(rng, 60_000), np.arange(60_000), np.arange(60_000), (1_000, 60_000))
    rows = [RowVectors(f"r{i}", "", unit(rng, 50), (int(rng.integers(1_000)),)) for i in range(80)]
    tracemalloc.start()
    try:
        rank_rows(rows, bank)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6


def test_scores_of_known_ranks() -> None:
    """Ranks 1, 2, 11 in closed form."""
    scores = retrieval_scores(np.array([1, 2, 11]))
    assert scores["recall_at_1"] == pytest.approx(1 / 3)
    assert scores["recall_at_10"] == pytest.approx(2 / 3)
    assert scores["recall_at_20"] == 1.0
    assert scores["precision_at_10"] == pytest.approx(2 / 30)
    assert scores["mrr_at_10"] == scores["map_at_10"] == pytest.approx((1 + 1 / 2) / 3)
    assert scores["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 11) / 3)
    assert scores["ndcg_at_10"] == pytest.approx((1 + 1 / math.log2(3)) / 3)


def test_some_rows_of_a_ranking_are_renumbered() -> None:
    """A selection of rows keeps its occurrences and points at them anew."""
    rng = np.random.default_rng(5)
    bank = make_bank(rng, [1] * 6, (6,))
    rows = [RowVectors(f"r{i}", f"s{i}", unit(rng, 3), truth) for i, truth in enumerate([(100,), (), (101, 102)])]
    (whole,) = rank_rows(rows, bank)
    part = whole.of_rows(np.array([False, True, True]))
    (alone,) = rank_rows(rows[1:], bank)
    for name in Ranking.__slots__:
        np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


@pytest.mark.parametrize(
    ("starts", "groups", "sizes"),
    [([0, 1], [5, 5], (2,)), ([0], [5, 6], (2,)), ([0, 1], [5, 6], (1,)), ([0, 1], [5, 6], (2, 1))],
)
def test_a_bank_checks_its_parts(starts: list[int], groups: list[int], sizes: tuple[int, ...]) -> None:
    """Ids are distinct and go with entries; sizes rise to all of them."""
    with pytest.raises(ValueError, match=r"distinct|rise"):
        Bank(np.eye(2, dtype=np.float32), np.array(starts), np.array(groups), sizes)
