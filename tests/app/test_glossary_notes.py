"""What a server's log says of a glossary that it read, and when it quotes it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import run
from app.glossary_notes import report_logger
from index_builder.formats import GlossaryWarning, RejectedRow
from index_builder.report import IndexReport

REPORT = IndexReport(
    id="talks",
    version="v1",
    rows=58,
    entries=57,
    merged=0,
    forms=60,
    rejected=(RejectedRow("conf.xlsx", 7, "!?", "the term has no letter or digit"),),
    warnings=(
        GlossaryWarning("talks:000054", "pronunciation", "the pronunciation of 'merit order' is ignored"),
        GlossaryWarning("talks:000055", "short", "'ion' is short"),
    ),
    seconds=0.1,
)


@pytest.fixture
def _log_as_before() -> Iterator[None]:
    """What a server sets up does not outlive its test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before


def test_the_log_counts_and_does_not_quote(caplog: pytest.LogCaptureFixture) -> None:
    """Events with fields: how many rows and warnings, of which kinds, and where all of them are read."""
    report_logger(log_terms=False)(REPORT, Path("conf.xlsx"))
    rows, warnings, translations = caplog.records
    assert rows.getMessage() == "talks: 1 of 58 rows are not used; all of them: termcue reindex conf.xlsx --check"
    assert vars(rows).items() >= {"glossary": "talks", "file": "conf.xlsx", "rows": 58, "rejected": 1}.items()
    assert vars(warnings)["warnings"] == {"pronunciation": 1, "short": 1}
    assert translations.getMessage() == "talks: it has no translations"
    assert not any(term in caplog.text for term in ("merit order", "ion' is", "!?"))


def test_terms_are_logged_where_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """With `--log-terms` the first row and the weightiest warnings stand there too."""
    report_logger(log_terms=True)(REPORT, Path("conf.xlsx"))
    assert "the first is conf.xlsx line 7: '!?'" in caplog.text
    assert "talks:000054: the pronunciation of 'merit order' is ignored" in caplog.text


@pytest.mark.usefixtures("_log_as_before")
@pytest.mark.parametrize("log_terms", [False, True])
def test_every_line_of_a_json_log_is_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log_terms: bool
) -> None:
    """Also what is said of glossaries at the start."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    terms = tmp_path / "terms.csv"
    terms.write_text("term,de,pronunciation\nmerit order,Merit-Order,no sound\n!?,nichts,\n")
    monkeypatch.setattr("streaming.server.run_server", lambda *served, on_ready, **wired: on_ready("ws://here"))
    asked = ["serve", "--glossary", str(terms), "--log-format", "json", *(["--log-terms"] if log_terms else [])]
    assert run(asked) == 0
    told = capsys.readouterr().err
    events = [json.loads(line) for line in told.splitlines()]
    assert [event["rejected"] for event in events if "rejected" in event] == [1, 1]
    assert all(event["time"] for event in events)
    assert ("merit order" in told) is log_terms
