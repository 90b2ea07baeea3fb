"""When to say nothing: no-term speech against terms, the threshold of a development split, risk against coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from training.evaluation.retrieval import Floats, Ranking

RECALL_DEPTH = 10
"""A term counts as found where it is among so many and its score is over the threshold."""
_BINS = 10


@dataclass(frozen=True, slots=True)
class Threshold:
    """The highest cosine at which the development split still has the recall asked for, where one does.

    `is_reached` is False where even without a threshold the recall is lower: then every found term is let through.
    """

    value: float
    recall: float
    is_reached: bool


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """If the best hint of the surest rows is shown: `coverage` of rows float64[n] and the share of wrong hints."""

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]

    @property
    def area(self) -> float | None:
        """AURC, the mean risk over all coverages; 0 is perfect (Geifman and El-Yaniv, 2017). None without rows."""
        return float(self.risk.mean()) if len(self.risk) else None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Said and true shares per bin of probability, float64[b]; `rows` int64[b]; `error` is the expected one (ECE)."""

    said: NDArray[np.float64]
    true: NDArray[np.float64]
    rows: NDArray[np.int64]
    error: float


def term_auroc(ranking: Ranking) -> float | None:
    """How well the cosine of what was said stands above the best cosine in no-term rows; None without either."""
    no_term = ranking.best[ranking.is_no_term]
    if not len(no_term) or not len(ranking.score):
        return None
    is_term = np.concatenate([np.ones(len(ranking.score)), np.zeros(len(no_term))])
    return float(roc_auc_score(is_term, np.concatenate([ranking.score, no_term])))


def choose_threshold(development: Ranking, recall: float = 0.9) -> Threshold | None:
    """The threshold for a recall (of those among the first 10); None where the split has no occurrence."""
    if not len(development.rank):
        return None
    found: Floats = np.sort(development.score[development.rank <= RECALL_DEPTH])[::-1]
    needed = int(np.ceil(recall * len(development.rank) - 1e-9))
    if not len(found):
        return Threshold(float(development.score.min()), 0.0, False)
    is_reached = needed <= len(found)
    value = float(found[max(needed, 1) - 1] if is_reached else found[-1])
    return Threshold(value, recall_at_threshold(development, value) or 0.0, is_reached)


def recall_at_threshold(ranking: Ranking, threshold: float | NDArray[np.float64]) -> float | None:
    """Share of occurrences among the first 10 and at or over the threshold (one, or one a row); None without any."""
    if not len(ranking.rank):
        return None
    needed = np.broadcast_to(threshold, ranking.best.shape)[ranking.occurrence_row]
    return float(((ranking.rank <= RECALL_DEPTH) & (ranking.score >= needed)).mean())


def rejection_rate(ranking: Ranking, threshold: float | NDArray[np.float64]) -> float | None:
    """Share of no-term rows in which no entry reaches the threshold (one, or one a row); None without such rows."""
    if not ranking.is_no_term.any():
        return None
    return float((ranking.best < threshold)[ranking.is_no_term].mean())


def risk_coverage(ranking: Ranking) -> RiskCoverage:
    """Rows by falling best cosine, each answered with its best entry; a no-term row answered is always wrong.

    Rows of equal cosine share one mean risk, so that their order in the file says nothing.
    """
    order = np.argsort(-ranking.best, kind="stable")
    wrong = (~ranking.is_right[order]).astype(np.float64)
    _, tied = np.unique(-ranking.best[order], return_inverse=True)
    mean = np.bincount(tied, wrong) / np.maximum(np.bincount(tied), 1)
    answered = np.arange(1, len(order) + 1)
    return RiskCoverage(answered / max(1, len(order)), np.cumsum(mean[tied]) / answered)


def probability_model(development: Ranking) -> tuple[float, float] | None:
    """Platt's map (1999) from a row's best cosine to the probability that it is right: (slope, bias).

    None where the split does not hold both right and wrong rows.
    """
    if len(np.unique(development.is_right)) < 2:
        return None
    model = LogisticRegression(C=1e4).fit(development.best[:, None], development.is_right)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def probabilities(ranking: Ranking, model: tuple[float, float]) -> NDArray[np.float64]:
    """float64[n]: how probably each row's best entry was said."""
    return np.asarray(1 / (1 + np.exp(-np.clip(model[0] * ranking.best + model[1], -30, 30))), np.float64)


def reliability(probability: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Reliability:
    """Ten bins of equal width; empty ones are left out (Guo et al., 2017)."""
    of_row = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    rows = np.bincount(of_row, minlength=_BINS)
    used = rows > 0
    said = np.bincount(of_row, probability, _BINS)[used] / rows[used]
    true = np.bincount(of_row, is_right.astype(np.float64), _BINS)[used] / rows[used]
    error = float(np.average(np.abs(said - true), weights=rows[used])) if used.any() else float("nan")
    return Reliability(said, true, rows[used], error)
