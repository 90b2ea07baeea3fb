"""`termcue reindex` with the bundled model: lint, page, self-test and candidates, as a user gets them."""

import csv
import io
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from index_builder.report import IndexReport
from streaming.entries import parse_entries

TERMS = "term,de,zh\ncountry,Land,国家\ncite,zitieren,\nsite,Ort,地点\n!?,x,y\n"
TESTS = Path(__file__).parents[1]
# eSpeak NG as a program, from the library that the tests have. What the library has no voice for says another one.
ESPEAK = f"""#!{sys.executable}
import sys
sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS / "training")!r}]
import soundfile
from espeak import say
arguments = sys.argv[1:]
value = {{name: arguments[arguments.index(name) + 1] for name in ("-v", "-s", "-p", "-w")}}
variant = value["-v"].split("+")[1]
soundfile.write(value["-w"], say(arguments[-1], "en-us", variant, int(value["-s"]), int(value["-p"])), 16_000)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user with empty places and no settings."""
    for name in os.environ:
        if name.startswith("TERMCUE_"):
            monkeypatch.delenv(name)
    for name, place in (("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")):
        monkeypatch.setenv(name, str(tmp_path / place))
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    return tmp_path / "files"


def _report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["reindex", *arguments, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return dict(json.loads(line))


def test_check_lints_with_the_ears_of_the_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everyday words, homophones and missing translations are found without a build, and the counts add up."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    report = _report(capsys, "terms.csv", "--check")
    assert report["rows"] == 4 == report["entries"] + report["merged"] + len(report["rejected"])
    found = {(warning["kind"], warning["entry"]) for warning in report["warnings"]}
    assert found == {
        ("everyday_word", "terms:000001"),
        ("homophone", "terms:000002"),
        ("missing_translation", "terms:000002"),
    }
    assert report["findings"] == dict.fromkeys(("missing_translation", "everyday_word", "homophone"), 1)
    assert sum(report["form_kinds"].values()) == report["forms"]
    assert report["readings"] == ["terms.csv: a table parted by commas, UTF-8"]


def test_published_report_has_the_same_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a build compares is what a check compares; of the forms, those that sound like another entry's are gone."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    checked = _report(capsys, "terms.csv", "--check", "--inflections", "always")
    published = _report(capsys, "terms.csv", "--id", "terms", "--inflections", "always")
    for name in ("warnings", "findings", "rejected", "readings"):
        assert published[name] == checked[name], name
    assert checked["form_kinds"] == {"term": 3, "plural": 3, "possessive": 3}
    assert published["form_kinds"] == {"term": 3, "plural": 1, "possessive": 1}
    assert published["forms"] == 5
    version = folder.parent / "data" / "termcue" / "glossaries" / "terms" / "versions" / published["version"]
    kept = IndexReport.from_bytes((version / "report.json").read_bytes())
    assert json.loads(json.dumps(kept.as_dict())) == published


def test_same_content_makes_no_second_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name of the version is the result; publishing the same again says so, and anything else makes a new one."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    versions = folder.parent / "data" / "termcue" / "glossaries" / "terms" / "versions"
    publish = ["reindex", "terms.csv", "--id", "terms"]
    assert run(publish) == 0
    first = capsys.readouterr()
    (version,) = [path.name for path in versions.iterdir()]
    assert first.out.splitlines()[-1] == f"published terms version {version}"
    assert f"published in {versions.parents[2]}" in first.err
    assert run(publish) == 0
    again = capsys.readouterr()
    assert again.out.splitlines()[-1] == f"current   terms version {version}"
    assert "is current and holds the same already: nothing was published" in again.err
    report = _report(capsys, *publish[1:])
    assert (report["version"], report["already_current"]) == (version, True)
    kept = json.loads((versions / version / "report.json").read_text("utf-8"))
    assert report["warnings"] == kept["warnings"]
    assert [path.name for path in versions.iterdir()] == [version]
    assert _report(capsys, *publish[1:], "--inflections", "never")["version"] != version


def test_damaged_version_is_published_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That the content is the same helps nobody who cannot read it."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    publish = ("terms.csv", "--id", "terms")
    version = _report(capsys, *publish)["version"]
    damaged = folder.parent / "data" / "termcue" / "glossaries" / "terms" / "versions" / version
    (damaged / "background.npy").write_bytes(b"")
    # Versions of one second have one name.
    while f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}" == version[:16]:
        time.sleep(0.05)
    report = _report(capsys, *publish)
    assert report["version"] != version
    assert "already_current" not in report


def test_human_is_shown_reading_findings_and_sums(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, the sums last."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    assert run(["reindex", "terms.csv", "--check", "--inflections", "never"]) == 0
    first, second, *findings, last = capsys.readouterr().out.splitlines()
    assert first == "read      terms.csv: a table parted by commas, UTF-8"
    assert second == "rejected  terms.csv line 5: '!?': the term has no letter or digit"
    assert all(line.startswith("warning   terms:00000") for line in findings)
    assert last.startswith("4 rows: 3 entries (3 spoken forms), 0 merged, 1 rejected; ")


def test_page_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --check too, and where --strict refuses; a folder that is not there is named."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    assert run(["reindex", "terms.csv", "--check", "--html", "report.html"]) == 0
    assert "the report is in report.html" in capsys.readouterr().err
    assert "Terms that sound the same" in (folder / "report.html").read_text("utf-8")
    assert run(["reindex", "terms.csv", "--id", "terms", "--strict", "--html", "strict.html"]) == 2
    assert "Rejected rows (1)" in (folder / "strict.html").read_text("utf-8")
    capsys.readouterr()
    assert run(["reindex", "terms.csv", "--check", "--html", "none/report.html"]) == 1
    assert "cannot write the page none/report.html: No such file or directory" in capsys.readouterr().err


def test_columns_may_be_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where their headings say nothing."""
    (folder / "terms.csv").write_text("Nr,Begriff,Bedeutung\n1,plague,Pest\n2,kernel,Kern\n", "utf-8")
    report = _report(
        capsys, "terms.csv", "--check", "--source-col", "Begriff", "--target-col", "C", "--target-lang", "de"
    )
    assert (report["entries"], report["target_langs"]) == (2, ["de"])


def test_kinds_and_texts_of_forms_are_published(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form in the index can be traced to what its author wrote."""
    (folder / "terms.csv").write_text("term,aliases\nyoung man,NASA\n", "utf-8")
    report = _report(capsys, "terms.csv", "--id", "terms", "--inflections", "always")
    version = folder.parent / "data" / "termcue" / "glossaries" / "terms" / "versions" / report["version"]
    _, forms = parse_entries((version / "entries.jsonl").read_bytes())
    assert {(form.text, form.kind, form.written) for form in forms} >= {
        ("young man", "term", "young man"),
        ("young men", "plural", "young man"),
        ("young man's", "possessive", "young man"),
        ("n a s a", "spelled", "NASA"),
        ("nasa", "abbreviation", "NASA"),
    }


def test_self_test_needs_a_synthesiser(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without eSpeak NG it ends with what to install, and nothing is published."""
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    monkeypatch.setenv("PATH", str(folder))
    assert run(["reindex", "terms.csv", "--id", "terms", "--self-test"]) == 1
    assert "'espeak-ng' is not installed; on Debian: apt install espeak-ng" in capsys.readouterr().err
    assert not list((folder.parent / "data").rglob("report.json"))


def test_self_test_tells_recall_and_false_hints(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are spoken and heard by the real pipeline; the outcome is in the report, on the page and published."""
    program = folder / "espeak-ng"
    program.write_text(ESPEAK, "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (folder / "terms.csv").write_text("term\nUnited Nations\nconstitution\nKalman filter\n", "utf-8")
    report = _report(
        capsys, "terms.csv", "--id", "t", "--self-test", "--self-test-entries", "2", "--html", "report.html"
    )
    test = report["self_test"]
    assert (len(test["entries"]), test["glossary_entries"], test["tries"]) == (2, 3, 6)
    assert sum(entry["heard"] for entry in test["entries"]) >= 2
    assert test["recall"] == round(sum(entry["heard"] for entry in test["entries"]) / 6, 4)
    assert 0 < sum(entry["false_hints_per_hour"] for entry in test["entries"]) <= test["false_hints_per_hour"]
    assert "Self-test:" in (folder / "report.html").read_text("utf-8")
    assert run(["reindex", "terms.csv", "--check", "--self-test", "--self-test-entries", "1"]) == 0
    assert "self-test 1 of 3 entries, " in capsys.readouterr().out
    assert run(["reindex", "terms.csv", "--check", "--self-test"]) == 0
    assert "self-test all 3 entries, " in capsys.readouterr().out


PAPER = """Our optimiser is stochastic gradient descent (SGD). With SGD, or any stochastic gradient descent, the loss
falls. The Kalman filter is older; Kalman filters flew to the moon.
"""


def test_candidates_of_a_text_are_a_glossary_to_prune(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV on standard output that reindex reads again; what a glossary has is left out."""
    (folder / "paper.txt").write_text(PAPER, "utf-8")
    assert run(["reindex", "--from-text", "paper.txt"]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert (rows[0]["term"], rows[0]["aliases"]) == ("stochastic gradient descent", "SGD")
    assert "Kalman filter" in [row["term"] for row in rows]
    assert f"{len(rows)} candidates, the likeliest first" in printed.err
    (folder / "candidates.csv").write_text(printed.out, "utf-8")
    checked = _report(capsys, "candidates.csv", "--check")
    assert checked["entries"] == len(rows)
    # The columns of our own that help to prune are not warned of.
    assert "unknown_column" not in checked["findings"]
    (folder / "known.csv").write_text("term\nkalman filter\n", "utf-8")
    assert run(["reindex", "known.csv", "--from-text", "paper.txt", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["type"] for each in found} == {"TermCandidate"}
    assert "Kalman filter" not in [each["term"] for each in found]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--from-text", "paper.txt", "--id", "x"], 2, "--from-text only prints candidates"),
        (["--from-text", "none.pdf"], 1, "cannot read none.pdf"),
        ([], 2, "GLOSSARY"),
        (["terms.csv", "--check", "--inflections", "sometimes"], 2, "--inflections"),
        (["terms.csv", "--check", "--self-test-entries", "0"], 2, "--self-test-entries"),
    ],
)
def test_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """Options that do not go together, and files that are not there."""
    assert run(["reindex", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
