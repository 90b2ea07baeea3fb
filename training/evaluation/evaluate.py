"""Rows and terms through a retriever -> all figures, and their JSON with MTEB's key names.

Thresholds and the map to probabilities never see the rows that they are judged on: they come from a development split,
or, where there is none, each half of the recordings is judged with what the other half chose.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.corpus.examples import Example
from training.evaluation.banks import BankConfig, PlainTerms, TermTexts, choose_terms, embed_bank
from training.evaluation.encoders import BadAudio, RowEncoder, encode_rows
from training.evaluation.rejection import (
    Reliability,
    RiskCoverage,
    choose_threshold,
    probabilities,
    probability_model,
    recall_at_threshold,
    rejection_rate,
    reliability,
    risk_coverage,
    term_auroc,
)
from training.evaluation.retrieval import Ranking, rank_rows, retrieval_scores

Split = Literal["development", "other half", "same rows"]
Progress = Callable[[str, int, int], None]
"""Told what is being done ("terms", "rows" or "development rows"), how much of it is, and of how much."""
_SHOWN_DEPTHS = (1, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class EvaluationTerms:
    """The terms beside those that are spoken.

    Attributes:
        glossary: all terms of the user's glossary, in any spelling.
        distractors: terms of nobody's glossary, for large banks.
        texts: groups and readings of terms.
        seen: entries that training heard; None where that is unknown.
    """

    glossary: Sequence[str] = ()
    distractors: Sequence[str] = ()
    texts: TermTexts = field(default_factory=PlainTerms)
    seen: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """How it is judged.

    Attributes:
        banks: sizes and readings of the banks.
        recall: what the threshold must leave.
        max_bad_share: the evaluation fails when more rows than this cannot be read.
    """

    banks: BankConfig = field(default_factory=BankConfig)
    recall: float = 0.9
    max_bad_share: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise SettingError(f"a recall of {self.recall} cannot be asked for; give one above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class BankResult:
    """What was found in the bank of one size.

    Attributes:
        ranking: every occurrence and row.
        scores: figures under MTEB's names and ours; None where the rows do not give one.
        risk: risk against coverage.
        calibration: how honest the probabilities are; None where they could not be fitted.
    """

    ranking: Ranking
    scores: dict[str, float | int | str | None]
    risk: RiskCoverage
    calibration: Reliability | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of every bank, smallest first; `main` is the place of the glossary's own bank."""

    results: tuple[BankResult, ...]
    main: int
    bad: tuple[str, ...]
    seconds: float

    @property
    def scores(self) -> dict[str, float | int | str | None]:
        """Those of the glossary's own bank."""
        return self.results[self.main].scores

    @property
    def recall_at_10(self) -> float:
        """Of the glossary's own bank; 0 where no row names a term."""
        found = self.scores.get("recall_at_10")
        return float(found) if found is not None else 0.0

    def to_json(self, task: str, revision: str, languages: Sequence[str] = ("eng-Latn",)) -> dict[str, Any]:
        """In the form of MTEB's `TaskResult`: one set of scores a bank under `scores.test`, the glossary's first.

        Args:
            task: what was evaluated on.
            revision: names the state of those rows.
            languages: ISO 639-3 and script of the speech.
        """
        order = [self.main, *(i for i in range(len(self.results)) if i != self.main)]
        return {
            "dataset_revision": revision,
            "task_name": task,
            "mteb_version": None,
            "evaluation_time": round(self.seconds, 3),
            "kg_co2_emissions": None,
            "scores": {
                "test": [
                    {
                        **self.results[i].scores,
                        "hf_subset": "glossary" if i == self.main else f"bank_{self.results[i].ranking.entries}",
                        "languages": list(languages),
                    }
                    for i in order
                ]
            },
            "skipped_rows": list(self.bad),
        }


def evaluate(
    encoder: RowEncoder,
    examples: Iterable[Example],
    terms: EvaluationTerms,
    config: EvaluationConfig | None = None,
    development: Sequence[Example] = (),
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Encode, search, judge.

    Args:
        encoder: both towers.
        examples: the test rows; an iterator is kept as a list, which holds no audio.
        terms: what the rows are searched among, beside the terms that they name.
        config: banks, recall, allowed share of unreadable rows.
        development: rows that choose the thresholds; without them each half of the test recordings does it for the
            other.
        progress: told of each batch.

    Raises:
        SettingError: there are no rows, or the banks do not fit them.
        TermCueError: too many rows cannot be read.
    """
    config, started = config or EvaluationConfig(), time.monotonic()
    rows = list(examples)
    if not rows:
        raise SettingError("there are no rows to evaluate on; name a file that holds some")
    spoken = [term.term for row in [*rows, *development] for term in row.terms]
    chosen = choose_terms(spoken, terms.glossary, terms.distractors, terms.texts, config.banks)
    progress("terms", 0, chosen.variants)
    bank = embed_bank(chosen, encoder.texts, encoder.dim, lambda done, total: progress("terms", done, total))
    bad = BadAudio(config.max_bad_share)

    def ranked(part: str, some: Sequence[Example]) -> list[Ranking]:
        progress(part, 0, len(some))
        vectors = encode_rows(encoder, some, terms.texts.group_of, bad, lambda done: progress(part, done, len(some)))
        return rank_rows(vectors, bank)

    chosen_by = ranked("development rows", development) if development else [None] * len(chosen.sizes)
    results = [
        _judge(test, choosing, terms.seen, config)
        for test, choosing in zip(ranked("rows", rows), chosen_by, strict=True)
    ]
    main = chosen.sizes.index(chosen.glossary_size)
    return Evaluation(tuple(results), main, tuple(map(str, bad.errors)), time.monotonic() - started)


def halves(recordings: Sequence[str]) -> NDArray[np.bool_]:
    """bool[n]: which half each row falls in, by its recording; always the same for the same name."""
    return np.array([hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 2 == 1 for name in recordings], bool)


def _judge(
    test: Ranking, development: Ranking | None, seen: frozenset[int] | None, config: EvaluationConfig
) -> BankResult:
    split, parts = _splits(test, development)
    threshold, probability = np.full(len(test.best), np.nan), np.full(len(test.best), np.nan)
    is_reached = True
    for chosen_on, judged in parts:
        cut = choose_threshold(chosen_on, config.recall)
        if cut is not None:
            threshold[judged], is_reached = cut.value, is_reached and cut.is_reached
        model = probability_model(chosen_on)
        if model is not None:
            probability[judged] = probabilities(test, model)[judged]
    has_threshold = bool(np.isfinite(threshold).all())
    honest = reliability(probability, test.is_right) if np.isfinite(probability).all() else None
    risk = risk_coverage(test)
    scores: dict[str, float | int | str | None] = {
        **retrieval_scores(test.rank),
        **_by_novelty(test, seen),
        "auroc_term_no_term": term_auroc(test),
        "threshold": float(threshold.mean()) if has_threshold else None,
        "threshold_split": split,
        "threshold_recall_asked": config.recall,
        "threshold_recall_reached": is_reached and has_threshold,
        "recall_at_threshold": recall_at_threshold(test, threshold) if has_threshold else None,
        # At a threshold that leaves less than was asked for, silence is cheap and its share says nothing.
        "rejection_rate": rejection_rate(test, threshold) if has_threshold and is_reached else None,
        "aurc": risk.area,
        "expected_calibration_error": None if honest is None else honest.error,
        "bank_entries": test.entries,
        "occurrences": len(test.rank),
        "rows": len(test.best),
        "no_term_rows": int(test.is_no_term.sum()),
    }
    scores["main_score"] = scores.get("recall_at_10", 0.0)
    return BankResult(test, scores, risk, honest)


def _splits(test: Ranking, development: Ranking | None) -> tuple[Split, list[tuple[Ranking, NDArray[np.bool_]]]]:
    """Pairs of (rows that choose, rows of the test that are judged with it), and what to call that."""
    every = np.ones(len(test.best), bool)
    if development is not None:
        return "development", [(development, every)]
    half = halves(test.recordings)
    parts = [(test.of_rows(half), ~half), (test.of_rows(~half), half)]
    # A handful of rows may leave one half without a term; then nothing is held out, and it is said.
    if all(len(chosen.rank) for chosen, _ in parts):
        return "other half", parts
    return "same rows", [(test, every)]


def _by_novelty(test: Ranking, seen: frozenset[int] | None) -> dict[str, float | int | str | None]:
    if seen is None:
        return {}
    is_seen = np.isin(test.occurrence_group, np.fromiter(seen, np.int64, len(seen)))
    found: dict[str, float | int | str | None] = {}
    for name, some in (("seen", is_seen), ("unseen", ~is_seen)):
        scores = retrieval_scores(test.rank[some], _SHOWN_DEPTHS)
        found[f"{name}_occurrences"] = int(some.sum())
        found |= {f"{name}_{key}": scores.get(key) for key in [*(f"recall_at_{k}" for k in _SHOWN_DEPTHS), "mrr"]}
    return found
