import numpy as np
import pytest

from training.evaluation.rejection import (
    choose_threshold,
    probabilities,
    probability_model,
    recall_at_threshold,
    rejection_rate,
    reliability,
    risk_coverage,
    term_auroc,
)
from training.evaluation.retrieval import Ranking


def ranking(score: list[float], rank: list[int], no_term: list[float], right: list[bool] | None = None) -> Ranking:
    """One occurrence a row with that score and rank, then no-term rows whose best cosine is given."""
    terms, rows = len(score), len(score) + len(no_term)
    return Ranking(
        entries=100,
        row_ids=tuple(f"r{i}" for i in range(rows)),
        recordings=tuple(f"r{i}" for i in range(rows)),
        occurrence_row=np.arange(terms),
        occurrence_group=np.arange(terms),
        score=np.array(score, np.float32),
        rank=np.array(rank, np.int64),
        best=np.array([*score, *no_term], np.float32),
        is_right=np.array([*(right or [r == 1 for r in rank]), *[False] * len(no_term)], bool),
        is_no_term=np.array([False] * terms + [True] * len(no_term)),
    )


def test_auroc_equals_the_share_of_right_pairs() -> None:
    """AUROC is the share of (term, no-term) pairs in the right order; a tie is half a pair."""
    rng = np.random.default_rng(2)
    one = ranking(rng.integers(0, 9, 40).tolist(), [1] * 40, rng.integers(-3, 6, 30).tolist())
    no_term = one.best[one.is_no_term]
    pairs = [(t > n) + 0.5 * (t == n) for t in one.score for n in no_term]
    assert term_auroc(one) == pytest.approx(np.mean(pairs))


def test_auroc_needs_both_kinds() -> None:
    """Without no-term rows, or without terms, there is nothing to tell apart."""
    assert term_auroc(ranking([0.5], [1], [])) is None
    assert term_auroc(ranking([], [], [0.2])) is None


def test_the_threshold_is_the_highest_that_leaves_the_recall() -> None:
    """Any higher threshold loses more than was allowed."""
    rng = np.random.default_rng(4)
    one = ranking(rng.uniform(0, 1, 200).tolist(), rng.integers(1, 12, 200).tolist(), [])
    cut = choose_threshold(one, 0.7)
    assert cut is not None
    assert cut.is_reached
    assert cut.recall == recall_at_threshold(one, cut.value)
    assert cut.recall >= 0.7
    above = np.nextafter(np.float32(cut.value), np.float32(2))
    higher = recall_at_threshold(one, float(above))
    assert higher is not None
    assert higher < 0.7


def test_an_unreachable_recall_lets_every_found_term_through_and_says_so() -> None:
    """Half of the occurrences are not among the first ten: 0.9 cannot be had, 0.5 is."""
    cut = choose_threshold(ranking([0.9, 0.8, 0.95, 0.99], [1, 2, 30, 40], []), 0.9)
    assert cut is not None
    assert (cut.is_reached, cut.recall) == (False, 0.5)
    assert cut.value == pytest.approx(0.8)
    nothing = choose_threshold(ranking([0.9], [50], []), 0.9)
    assert nothing is not None
    assert (nothing.is_reached, nothing.recall) == (False, 0.0)
    assert choose_threshold(ranking([], [], [0.3])) is None


def test_rejection_counts_no_term_rows_below_the_threshold() -> None:
    """A row at the threshold is no rejection; each row may have its own threshold."""
    one = ranking([0.9], [1], [0.1, 0.5, 0.7, 0.2])
    assert rejection_rate(one, 0.5) == 0.5
    assert rejection_rate(one, np.array([0.0, 0.0, 0.6, 0.8, 0.0])) == 0.5
    assert rejection_rate(ranking([0.9], [1], []), 0.5) is None


def test_recall_at_a_threshold_wants_rank_and_score() -> None:
    """Of four, one is too low in score and one too low in rank."""
    one = ranking([0.9, 0.9, 0.2, 0.9], [1, 11, 1, 10], [0.3])
    assert recall_at_threshold(one, 0.5) == 0.5
    assert recall_at_threshold(one, np.array([0.95, 0.5, 0.1, 0.5, 0.5])) == 0.5
    assert recall_at_threshold(ranking([], [], [0.2]), 0.5) is None


def test_risk_at_each_coverage_by_plain_counting() -> None:
    """At each coverage the risk is the share of wrong ones among the surest rows."""
    rng = np.random.default_rng(6)
    one = ranking(rng.uniform(0, 1, 30).tolist(), rng.integers(1, 3, 30).tolist(), rng.uniform(0, 0.6, 10).tolist())
    curve = risk_coverage(one)
    order = np.argsort(-one.best)
    for answered in range(1, 41):
        wrong = sum(not one.is_right[i] for i in order[:answered])
        assert curve.risk[answered - 1] == pytest.approx(wrong / answered)
        assert curve.coverage[answered - 1] == pytest.approx(answered / 40)
    assert curve.area == pytest.approx(curve.risk.mean())


def test_risk_does_not_depend_on_the_order_of_equals() -> None:
    """Rows of one cosine share their mean risk."""
    right = [True, False, True, False]
    one = risk_coverage(ranking([0.5] * 4, [1] * 4, [], right))
    other = risk_coverage(ranking([0.5] * 4, [1] * 4, [], right[::-1]))
    np.testing.assert_allclose(one.risk, [0.5] * 4)
    np.testing.assert_allclose(one.risk, other.risk)
    assert risk_coverage(ranking([], [], [])).area is None


def test_probabilities_recover_the_map_that_drew_the_rows() -> None:
    """Rows drawn from a logistic map give it back, and its probabilities are honest on other rows."""
    rng = np.random.default_rng(8)

    def draw(n: int) -> Ranking:
        score = rng.uniform(0, 1, n)
        right = rng.random(n) < 1 / (1 + np.exp(-(8 * score - 4)))
        return ranking(score.tolist(), [1] * n, [], right.tolist())

    model = probability_model(draw(20_000))
    assert model is not None
    assert model == pytest.approx((8, -4), rel=0.1)
    test = draw(20_000)
    found = reliability(probabilities(test, model), test.is_right)
    assert found.error < 0.02
    assert found.rows.sum() == 20_000
    np.testing.assert_allclose(found.said, found.true, atol=0.05)


def test_no_probabilities_where_all_rows_are_right() -> None:
    """One kind of row alone teaches nothing."""
    assert probability_model(ranking([0.3, 0.4], [1, 1], [])) is None


def test_reliability_of_known_rows() -> None:
    """Two bins in closed form, empty ones left out; a probability of 1 is in the last bin."""
    found = reliability(np.array([0.21, 0.25, 1.0, 1.0]), np.array([False, True, True, False]))
    assert found.rows.tolist() == [2, 2]
    np.testing.assert_allclose(found.said, [0.23, 1.0])
    np.testing.assert_allclose(found.true, [0.5, 0.5])
    assert found.error == pytest.approx(0.5 * 0.27 + 0.5 * 0.5)
