"""Bad glossaries of every kind: one clear sentence with the value and the cure, exit code 1 or 2, nothing half-written."""

import json

import pytest

from app.cli import run
from app.samples import recordings
from tests.end_to_end.empty_machine import Place, good_glossary, refused

BAD_GLOSSARIES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "neither a glossary file nor a published glossary"),
    "empty": (b"", "is empty"),
    "no usable term": (b"term,de\n,leer\n???,Zeichen\n", "no usable term"),
    "header only": (b"term,de\n", "no usable term"),
    "damaged UTF-8": (
        "term,de\nsoul,Gem\u00fct\n".encode() + b"x,\xfc\n",
        "damaged UTF-8: byte 0xfc at offset 22 (line 3)",
    ),
    "half of UTF-16": ("term\nkernel\n".encode("utf-16")[:-1], "damaged UTF-16"),
    "damaged spreadsheet": (b"PK\x03\x04" + bytes(100), "damaged archive"),
    "old spreadsheet": (b"\xd0\xcf\x11\xe0" + bytes(100), "save it as XLSX without a password"),
    "bomb of entities": (b"<!DOCTYPE tbx [<!ENTITY a 'lol'>]><tbx>&a;</tbx>", "entity 'a' is declared"),
    "10,000 characters": (b"term\n" + b"x" * 10_000 + b"\n", "10000 characters"),
}


@pytest.mark.parametrize("kind", BAD_GLOSSARIES)
def test_bad_glossary_is_refused(place: Place, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """A glossary without a usable term is named with what is wrong; no index is left, in cache or published."""
    content, said = BAD_GLOSSARIES[kind]
    path = place.folder / "terms.csv"
    if content is not None:
        path.write_bytes(content)
    speech = str(recordings()[1].path)
    assert said in refused(place, capsys, ["listen", speech, "--glossary", "terms.csv", "--json"])
    if content is not None:
        assert said in refused(place, capsys, ["reindex", "terms.csv", "--id", "talks", "--json"])
    assert place.written() == set()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_common_encoding_is_read(place: Place, capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    """A glossary is read in the encoding that its program saved it in; a guess is told."""
    (place.folder / "terms.csv").write_bytes("term,de\nsoul,Gemüt\n".encode(encoding))
    assert run(["reindex", "terms.csv", "--check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["entries"], report["rejected"]) == (1, [])
    assert ("encoding" in [warning["kind"] for warning in report["warnings"]]) is (encoding == "cp1252")


def test_byte_order_mark_and_duplicates_lose_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A BOM is no part of the first heading; duplicates merge, over-long terms are rejected, and the counts add up."""
    rows = ["term,de", "kernel,Kern", "Kernel,Kern", "x" * 10_000 + ",lang", "graph,Graph"]
    (place.folder / "terms.csv").write_bytes(b"\xef\xbb\xbf" + "\n".join(rows).encode())
    assert run(["reindex", "terms.csv", "--id", "talks", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["entries"], report["merged"]) == (4, 2, 1)
    (rejected,) = report["rejected"]
    assert (rejected["line"], len(rejected["value"]) <= 80) == (4, True)
    assert "10000 characters" in rejected["reason"]


def test_strict_publishes_nothing_when_a_row_is_lost(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """--strict ends with 2 and leaves no version; the report still says which row it was."""
    (place.folder / "terms.csv").write_text("term\nkernel\n???\n")
    assert run(["reindex", "terms.csv", "--id", "talks", "--strict", "--json"]) == 2
    printed = capsys.readouterr()
    assert [row["line"] for row in json.loads(printed.out)["rejected"]] == [3]
    assert "nothing is published" in printed.err
    assert place.written() == set()


def test_check_publishes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """--check only reads and reports."""
    good_glossary(place)
    assert run(["reindex", "terms.csv", "--check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["type"], report["entries"], report["version"]) == ("IndexReport", 2, "")
    assert place.written() == set()


def test_doubtful_glossary_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What is odd about a bare file is said, now and from the cache: three warnings, how many more, no translation."""
    columns = ",".join(f"colour{number}" for number in range(5))
    (place.folder / "terms.csv").write_text(f"term,{columns}\nfellow Americans,1,2,3,4,5\n")
    arguments = ["listen", str(recordings()[1].path), "--glossary", "terms.csv", "--threshold", "1"]
    for _ in range(2):
        assert run(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("is not known and is ignored") == 3
        assert "and 2 more: termcue reindex terms.csv --check" in printed.err
        assert "this glossary has no translations" in printed.err


def test_report_counts_in_the_singular(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """One row is one row and one entry."""
    (place.folder / "terms.csv").write_text("term,de\nprudently,umsichtig\n")
    assert run(["reindex", "terms.csv", "--check"]) == 0
    assert "\n1 row: 1 entry (1 spoken form), 0 merged" in capsys.readouterr().out
