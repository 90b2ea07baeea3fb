"""Exported files as other programs see them."""

import csv
import io
import json
import zipfile
from xml.etree import ElementTree

import pytest

from index_builder.export import ExportKind, export
from streaming.entries import Entry
from streaming.errors import GlossaryError

_TBX = "{urn:iso:std:iso:30042:ed-2}"
_ION = Entry("t:1", "ion", {"de": "Ion", "": "x"}, ("charge",), "a note", "en", "physics", ("AY AH N",), True, 0.5)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "＝1", "'=1"])
def test_csv_holds_no_formula(formula: str) -> None:
    """A spreadsheet shows the text instead of computing it (OWASP, CSV injection)."""
    content = export([Entry("a", formula, {"de": formula}, note=formula)], "csv")
    assert content.startswith(b"\xef\xbb\xbfid,term,")
    _, row = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert {row[1], row[6], row[-1]} == {f"'{formula}"}


def test_workbook_holds_texts_only() -> None:
    """No cell is a formula, a link or a number, whatever its text looks like."""
    content = export([Entry("1", "=1+1", {"de": "http://example.org", "fr": "5"})], "xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
        names = archive.namelist()
    cells = [cell for cell in sheet.iter() if cell.tag.endswith("}c")]
    assert {cell.get("t") for cell in cells} == {"s"}
    assert not [element for element in sheet.iter() if element.tag.endswith(("}f", "}hyperlink"))]
    assert not [name for name in names if "sheet1.xml.rels" in name]


def test_term_base_is_version_3() -> None:
    """Concepts, language sections and term sections in the namespace of ISO 30042:2019; ids are XML names."""
    root = ElementTree.fromstring(export([_ION, Entry("c1", "salt", {})], "tbx"))
    assert root.tag == f"{_TBX}tbx"
    concepts = root.findall(f"{_TBX}text/{_TBX}body/{_TBX}conceptEntry")
    assert [concept.get("id") for concept in concepts] == ["c1", "c2"]
    terms = [term.text for term in concepts[0].iterfind(f"{_TBX}langSec/{_TBX}termSec/{_TBX}term")]
    assert terms == ["ion", "charge", "Ion", "x"]
    assert concepts[0].findtext(f"{_TBX}descrip[@type='subjectField']") == "physics"


def test_json_lines_name_what_there_is() -> None:
    """Fields that an entry does not have are left out."""
    first, second = export([_ION, Entry("b", "salt", {})], "jsonl").decode().splitlines()
    assert json.loads(first)["translations"] == {"de": "Ion", "": "x"}
    assert json.loads(second) == {"id": "b", "term": "salt", "source_lang": "en"}


@pytest.mark.parametrize(("kind", "length"), [("xlsx", 32_768), ("csv", 131_001)])
def test_what_a_format_would_cut_is_refused(kind: ExportKind, length: int) -> None:
    """Excel drops a longer text and Python's csv refuses it; the message names the entry and another format."""
    with pytest.raises(GlossaryError, match=f"'a' has a text of {length} characters.*export as jsonl"):
        export([Entry("a", "ion", {}, note="x" * length)], kind)
