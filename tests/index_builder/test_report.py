"""What a human is shown of a report, and what is kept of it."""

import json

from index_builder.formats import GlossaryWarning, RejectedRow
from index_builder.report import SHOWN_OF_A_KIND, IndexReport, by_importance, summed_up
from index_builder.self_test import EntryResult, SelfTest


def test_many_warnings_of_a_kind_are_summed_up() -> None:
    """Of each kind the first 20 are shown and the others counted; the order stays."""
    many = [GlossaryWarning(f"g:{number}", "short", "x") for number in range(SHOWN_OF_A_KIND + 5)]
    few = [GlossaryWarning("", "comment", "y")] * SHOWN_OF_A_KIND
    shown = list(summed_up([*many, *few]))
    assert shown[:-1] == [*many[:SHOWN_OF_A_KIND], *few]
    assert shown[-1].message == "and 5 more warnings of the kind short; all of them: --json"
    assert list(summed_up(few)) == few


def _report(self_test: SelfTest | None = None) -> IndexReport:
    return IndexReport(
        id="talks",
        version="20261014T091203Z-0123456789ab",
        rows=4,
        entries=2,
        merged=1,
        forms=6,
        rejected=(RejectedRow("g.csv", 3, "!?", "the term has no letter or digit"),),
        warnings=(GlossaryWarning("talks:000001", "short", "x"), GlossaryWarning("", "short", "y")),
        seconds=0.5,
        target_langs=("de", ""),
        form_kinds={"term": 2, "plural": 4},
        readings=("g.csv: a table parted by commas, UTF-8",),
        self_test=self_test,
    )


def test_report_survives_its_file() -> None:
    """With and without a self-test; findings are counted by kind beside it."""
    test = SelfTest("booth", 2, 8.5, ("espeak-a",), 1, 12.0, (EntryResult("talks:000001", 3, 2, ("x",), 0, 0.5),))
    for report in (_report(), _report(test)):
        assert IndexReport.from_bytes(report.to_bytes()) == report
    shown = json.loads(_report(test).to_bytes())
    assert shown["findings"] == {"short": 2}
    assert (shown["self_test"]["tries"], shown["self_test"]["recall"]) == (3, 0.6667)
    assert "self_test" not in _report().as_dict()


def test_report_of_an_older_index_is_read() -> None:
    """Fields that it does not have are empty."""
    old = json.loads(_report().to_bytes())
    for name in ("form_kinds", "readings", "findings", "target_langs"):
        del old[name]
    report = IndexReport.from_bytes(json.dumps(old).encode())
    assert (report.rows, report.form_kinds, report.readings, report.target_langs) == (4, {}, (), ())


def test_what_costs_hints_comes_first() -> None:
    """A column that is not read matters more than titles that were skipped; equals keep their order."""
    kinds = ("comment", "id", "short", "of another make", "same_sound", "unknown_column", "same_sound")
    warnings = [GlossaryWarning(str(number), kind, "") for number, kind in enumerate(kinds)]
    assert [warning.entry for warning in by_importance(warnings)] == ["5", "4", "6", "2", "1", "0", "3"]
