import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import key_of
from training.evaluation.banks import BankConfig
from training.evaluation.caveats import caveats
from training.evaluation.evaluate import EvaluationConfig, EvaluationTerms, evaluate, halves
from training.evaluation.untrained import UntrainedEncoder

Floats = NDArray[np.float32]
TERMS = [f"term number {i}" for i in range(20)]
STRANGERS = [f"stranger {i}" for i in range(200)]
DIM = 64


class LevelEncoder:
    """Hears which term is said from the level of the row: level (i + 1) / 100 is term i, above that nothing."""

    dim = DIM

    def __init__(self, clarity: float = 2.0) -> None:
        self._clarity = clarity

    def texts(self, texts: Sequence[str]) -> Floats:
        """A random vector per text."""
        return self._unit([np.random.default_rng(key_of(t) % 2**32).standard_normal(DIM) for t in texts])

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """Three spans each, the second of which holds the term."""
        return [self._row(round(float(np.abs(row).max()) * 100) - 1) for row in rows]

    def _row(self, term: int) -> Floats:
        spans = np.random.default_rng(term).standard_normal((3, DIM))
        if term < len(TERMS):
            spans[1] += self._clarity * np.sqrt(DIM) * self.texts([TERMS[term]])[0]
        return self._unit(spans)

    def _unit(self, vectors: object) -> Floats:
        array = np.asarray(vectors, np.float32)
        return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Each term in a row of its own recording, then twenty no-term rows."""
    folder = tmp_path_factory.mktemp("rows")
    examples = []
    for i in range(40):
        path = folder / f"{i}.wav"
        soundfile.write(path, np.full(4_000, (i + 1) / 100, np.float32), 16_000, subtype="FLOAT")
        said = (TermSpan(TERMS[i], 0, 4_000),) if i < 20 else ()
        examples.append(Example(f"row{i}", path, 0, 0, "", said, recording=f"talk {i}"))
    return examples


def test_a_clear_retriever_finds_and_rejects(rows: list[Example]) -> None:
    """Everything is found first, no-term rows are told apart, and the threshold comes from other recordings."""
    found = evaluate(LevelEncoder(4.0), rows, EvaluationTerms())
    scores = found.scores
    assert found.recall_at_10 == scores["recall_at_1"] == scores["main_score"] == scores["auroc_term_no_term"] == 1.0
    assert scores["rejection_rate"] == 1.0
    assert scores["threshold_split"] == "other half"
    assert scores["threshold_recall_reached"] is True
    assert isinstance(scores["recall_at_threshold"], float)
    assert scores["recall_at_threshold"] >= 0.7
    assert (scores["occurrences"], scores["rows"], scores["no_term_rows"], scores["bank_entries"]) == (20, 40, 20, 20)
    assert scores["aurc"] == pytest.approx(np.mean([max(0, n - 20) / n for n in range(1, 41)]))


def test_recall_falls_as_the_bank_grows(rows: list[Example]) -> None:
    """Banks are nested, so an unclear retriever finds less in a larger one; the main figures are the glossary's."""
    terms = EvaluationTerms(glossary=STRANGERS[:30], distractors=STRANGERS)
    found = evaluate(LevelEncoder(0.35), rows, terms, EvaluationConfig(BankConfig((20, 200))))
    assert [r.ranking.entries for r in found.results] == [20, 50, 200]
    recalls = [r.scores["recall_at_10"] for r in found.results]
    assert recalls == sorted(recalls, reverse=True, key=float)  # type: ignore[arg-type]
    assert float(recalls[0] or 0) > float(recalls[2] or 0)
    assert found.scores is found.results[1].scores
    assert found.results[0].ranking.score.tolist() == found.results[2].ranking.score.tolist()


def test_a_recall_that_no_threshold_leaves_is_told(rows: list[Example]) -> None:
    """Where too few terms are among the first ten there is no rejection rate, and it is said for which bank."""
    terms = EvaluationTerms(distractors=STRANGERS)
    found = evaluate(LevelEncoder(0.35), rows, terms, EvaluationConfig(BankConfig((200,)), recall=1.0))
    (large,) = [result.scores for result in found.results if result.ranking.entries == 200]
    assert large["threshold_recall_reached"] is False
    assert large["rejection_rate"] is None
    (said,) = [sentence for sentence in caveats(found) if "bank of 200 terms" in sentence]
    assert "a recall of 1.0 cannot be reached" in said
    assert not any("say little" in sentence for sentence in caveats(found))


def test_a_handful_of_no_term_rows_is_told(rows: list[Example]) -> None:
    """Shares of fewer than 20 rows say little; twenty rows, or none at all, need no such note."""
    few = evaluate(LevelEncoder(4.0), rows[:23], EvaluationTerms())
    assert caveats(few) == [
        "rejection_rate and auroc_term_no_term rest on 3 rows without a term; fewer than 20 say little"
    ]
    assert "rest on 1 row without" in caveats(evaluate(LevelEncoder(4.0), rows[:21], EvaluationTerms()))[0]
    assert caveats(evaluate(LevelEncoder(4.0), rows, EvaluationTerms())) == []
    assert caveats(evaluate(LevelEncoder(4.0), rows[:20], EvaluationTerms())) == []


def test_a_development_split_chooses_the_threshold(rows: list[Example]) -> None:
    """With rows to choose on, the test rows are judged by them alone."""
    test, development = rows[::2], rows[1::2]
    found = evaluate(LevelEncoder(), test, EvaluationTerms(), development=development)
    turned = evaluate(LevelEncoder(), development, EvaluationTerms(), development=development)
    assert found.scores["threshold_split"] == "development"
    assert found.scores["threshold"] == pytest.approx(turned.scores["threshold"])
    assert found.scores["rows"] == 20
    assert float(turned.scores["recall_at_threshold"] or 0) >= 0.9


def test_few_rows_choose_for_themselves_and_it_is_said(rows: list[Example]) -> None:
    """One recording cannot be split: the figures say that nothing was held out."""
    assert evaluate(LevelEncoder(), rows[:1], EvaluationTerms()).scores["threshold_split"] == "same rows"


def test_seen_and_unseen_terms_are_told_apart(rows: list[Example]) -> None:
    """Occurrences of terms that training heard are counted apart from others."""
    seen = frozenset(key_of(term) for term in TERMS[:15])
    scores = evaluate(LevelEncoder(4.0), rows, EvaluationTerms(seen=seen)).scores
    assert (scores["seen_occurrences"], scores["unseen_occurrences"]) == (15, 5)
    assert scores["seen_recall_at_10"] == scores["unseen_recall_at_10"] == 1.0
    every = evaluate(LevelEncoder(4.0), rows, EvaluationTerms(seen=frozenset(map(key_of, TERMS)))).scores
    assert every["unseen_recall_at_10"] is None


def test_the_control_is_near_chance(rows: list[Example]) -> None:
    """An encoder that has learnt nothing finds about ten of two hundred."""
    terms = EvaluationTerms(glossary=STRANGERS)
    found = evaluate(UntrainedEncoder(), rows, terms)
    assert found.recall_at_10 <= 0.25


def test_rows_without_terms_alone_are_judged_as_far_as_they_go(rows: list[Example]) -> None:
    """Against a glossary, no-term rows have no recall and no threshold, and the JSON holds no NaN."""
    found = evaluate(LevelEncoder(), rows[20:], EvaluationTerms(glossary=TERMS))
    assert found.recall_at_10 == found.scores["main_score"] == 0.0
    assert found.scores["rejection_rate"] is None
    assert found.scores["aurc"] == 1.0
    json.dumps(found.to_json("t", "r"), allow_nan=False)


def test_json_has_the_shape_that_mteb_reads(rows: list[Example]) -> None:
    """The keys that MTEB's TaskResult wants, with its names of figures, one set a bank, the glossary's first."""
    terms = EvaluationTerms(distractors=STRANGERS)
    found = evaluate(LevelEncoder(), rows, terms, EvaluationConfig(BankConfig((100,))))
    raw = json.loads(json.dumps(found.to_json("TermRetrieval", "abc"), allow_nan=False))
    assert {"dataset_revision", "task_name", "mteb_version", "scores", "evaluation_time"} <= raw.keys()
    assert [one["hf_subset"] for one in raw["scores"]["test"]] == ["glossary", "bank_100"]
    for one in raw["scores"]["test"]:
        assert one["languages"] == ["eng-Latn"]
        assert one["main_score"] == one["recall_at_10"]
        wanted = {f"{name}_at_{k}" for name in ("recall", "ndcg", "mrr", "map", "precision") for k in (1, 5, 10, 20)}
        assert wanted <= one.keys()


def test_unreadable_rows_are_named(rows: list[Example], tmp_path: Path) -> None:
    """A row whose audio is gone is skipped and told."""
    gone = Example("gone", tmp_path / "gone.wav", 0, 0, "", ())
    found = evaluate(LevelEncoder(), [*rows, gone], EvaluationTerms())
    assert len(found.bad) == 1
    assert "row gone" in found.bad[0]


def test_settings_are_checked() -> None:
    """No rows, or a recall that cannot be."""
    with pytest.raises(SettingError, match="no rows"):
        evaluate(LevelEncoder(), [], EvaluationTerms())
    with pytest.raises(SettingError, match="recall of 0"):
        EvaluationConfig(recall=0)


def test_halves_follow_the_recording() -> None:
    """All rows of a recording fall in one half, on every machine; both halves are used."""
    names = [f"talk {i // 3}" for i in range(60)]
    half = halves(names)
    assert all(len(set(half[i : i + 3].tolist())) == 1 for i in range(0, 60, 3))
    assert 15 <= half.sum() <= 45
    np.testing.assert_array_equal(half, halves(names))
    assert halves(["talk 0", "talk 1", "talk 2", "talk 3"]).tolist() == [True, True, False, False]
