"""A report for a human: the self-test names the entries that were missed and those that were hinted wrongly."""

from dataclasses import replace

import pytest

from app.report_lines import print_report
from index_builder.report import IndexReport
from index_builder.self_test import EntryResult, SelfTest

TEST = SelfTest(
    profile="booth",
    glossary_entries=2,
    seconds=90.0,
    voices=("a",),
    false_hints=3,
    false_hints_per_hour=12.0,
    entries=(EntryResult("g:1", 3, 2, ("g:2",), 0, 0.5), EntryResult("g:2", 3, 3, (), 1, 2.25)),
    hinted_unsaid={"g:3": 2},
)
REPORT = IndexReport("g", "", 3, 3, 0, 3, (), (), 1.0, self_test=TEST)
TERMS = {"g:1": "cite", "g:2": "site", "g:3": "sight"}


def _printed(report: IndexReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_report(report, TERMS, as_json=False)
    return capsys.readouterr().out.splitlines()


def test_self_test_names_the_culprits(capsys: pytest.CaptureFixture[str]) -> None:
    """The worst first, entries that were not said among them; what was said is counted in words."""
    assert _printed(REPORT, capsys)[:-1] == [
        "missed    'cite' (g:1): heard 2 of 3 times, 'site' (g:2) instead",
        "false     'sight' (g:3): hinted 2 times where another entry was said",
        "false     'site' (g:2): hinted 1 time where another entry was said",
        "self-test all 2 entries, 83% of 6 utterances heard, 3 false hints in 1.5 minutes; of the 12 an hour of the "
        "profile booth, most are expected of 'site' (g:2): 2.25",
    ]
    of_more = replace(REPORT, self_test=replace(TEST, glossary_entries=54))
    assert "self-test 2 of 54 entries, " in _printed(of_more, capsys)[3]


def test_long_lists_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of each, the others as a number."""
    many = replace(REPORT, self_test=replace(TEST, hinted_unsaid={f"g:{n}": 2 for n in range(100, 120)}))
    lines = _printed(many, capsys)
    assert sum(line.startswith("false ") for line in lines) == 11
    assert "false     and 11 more; all of them: --json" in lines
