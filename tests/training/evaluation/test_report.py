import re

import numpy as np

from training.evaluation.banks import Bank
from training.evaluation.evaluate import BankResult, Evaluation
from training.evaluation.rejection import Reliability, risk_coverage
from training.evaluation.report import Section, evaluation_sections, render, shown
from training.evaluation.retrieval import RowVectors, rank_rows


def evaluation(with_threshold: bool, honest: Reliability | None) -> Evaluation:
    """Two rows against a bank of two entries."""
    bank = Bank(np.eye(2, dtype=np.float32), np.arange(2), np.arange(2), (1, 2))
    rows = [RowVectors("a", "", np.array([[1.0, 0.0]], np.float32), (0,)), RowVectors("b", "", bank.vectors[1:], ())]
    results = tuple(
        BankResult(
            ranking,
            {"recall_at_1": 0.5, "recall_at_10": 1.0, "threshold": 0.4 if with_threshold else None, "mrr": None}
            | {"threshold_split": "same rows"},
            risk_coverage(ranking),
            honest,
        )
        for ranking in rank_rows(rows, bank)
    )
    return Evaluation(results, 1, ("<b>.wav (row b): is silent",), 1.0)


def test_the_page_shows_every_bank_and_curve() -> None:
    """A column a bank, a line a figure that some bank has, one picture a curve; unknown figures are dashes."""
    honest = Reliability(np.array([0.2, 0.9]), np.array([0.1, 1.0]), np.array([3, 4]), 0.1)
    page = render("Evaluation of <x>", evaluation_sections(evaluation(True, honest), evaluation(True, None))).decode()
    assert page.count("<svg") == page.count("</svg>") == 4
    assert "<th>bank of 1</th><th>glossary (2)</th><th>untrained, bank of 1</th>" in page
    assert "<tr><td>recall_at_1</td><td>0.500</td><td>0.500</td><td>0.500</td><td>0.500</td></tr>" in page
    assert "<td>mrr</td><td>–</td>" in page
    assert "aurc" not in page
    assert "Evaluation of &lt;x&gt;" in page
    assert "&lt;b&gt;.wav (row b): is silent" in page


def test_the_page_says_what_its_figures_cannot() -> None:
    """A recall that is not reached, and few rows without a term, stand above the table."""
    told = evaluation(True, None)
    for result in told.results:
        result.scores.update({"threshold_recall_asked": 0.9, "threshold_recall_reached": False, "no_term_rows": 1})
    page = render("t", evaluation_sections(told)).decode()
    assert "<p>Note: in the bank of 2 terms a recall of 0.9 cannot be reached" in page
    assert "rest on 1 row without a term" in page
    assert "leaves the recall asked for, where one does" in page


def test_the_page_stands_alone() -> None:
    """It names no address (but those of the SVG standard) and runs nothing."""
    page = render("t", evaluation_sections(evaluation(False, None))).decode()
    assert not re.search(r"https?://(?!www\.w3\.org/)|<script|<link|@import", page)
    assert page.count("<svg") == 3


def test_the_same_figures_give_the_same_bytes() -> None:
    """No date and no random name is in it."""
    pages = [render("t", evaluation_sections(evaluation(True, None))) for _ in range(2)]
    assert pages[0] == pages[1]


def test_cells_are_short() -> None:
    """Shares have three decimals, counts none; what is not known is a dash."""
    assert [shown(v) for v in (0.12345, 7, "glossary", None, float("nan"))] == ["0.123", "7", "glossary", "–", "–"]
    assert b"<td>0.250</td>" in render("t", [Section("s", [["a"], [0.25]], ["said"])])
