"""Difficult workbooks."""

from index_builder.formats import Columns
from tests.index_builder.formats.difficult_files import Difficult, Refused
from tests.index_builder.formats.raw_workbook import pack, parts, rows, workbook, worksheet


def _merged(*ranges: str) -> str:
    return "<mergeCells>" + "".join(f'<mergeCell ref="{each}"/>' for each in ranges) + "</mergeCells>"


def _hidden(content: dict[str, str]) -> bytes:
    book = content["xl/workbook.xml"].replace('sheetId="2"', 'sheetId="2" state="hidden"')
    return pack(content | {"xl/workbook.xml": book})


def _with_sheet(part: str | bytes) -> bytes:
    return pack({**parts({"A": ""}), "xl/worksheets/sheet1.xml": part})


_SHARED_CELL = '<c r="{}{}" t="s"><v>0</v></c>'
_LONG = "x" * 1_000_000
_ONE = (1, "ion", {"de": "Ion"})

WORKBOOKS = (
    Difficult(
        "a header",
        workbook({"A": rows(("term", "de", "fr"), ("ion", "Ion", "ion"))}),
        [(2, "ion", {"de": "Ion", "fr": "ion"})],
    ),
    Difficult(
        "a merged title above the header",
        workbook({"A": rows(("Glossary",), ("", ""), ("English", "German"), ("ion", "Ion")) + _merged("A1:B1")}),
        [(4, "ion", {"de": "Ion"})],
        warnings=["comment"],
    ),
    Difficult(
        "a term merged down over two rows, and rows without anything",
        workbook(
            {
                "A": rows(("term", "de", "fr"), ("ion", "Ion"), ("", "", "ion"), ("", ""), ("salt", "Salz"))
                + _merged("A2:A4")
            }
        ),
        [(2, "ion", {"de": "Ion"}), (3, "ion", {"fr": "ion"}), (5, "salt", {"de": "Salz"})],
    ),
    Difficult(
        "a term merged across is not its translation",
        workbook(
            {
                "A": rows(("term", "x", "de"), ("ion", "", "Ion"), ("Chemistry",), ("salt", "", "Salz"))
                + _merged("A2:B2", "A3:C3")
            }
        ),
        [(2, "ion", {"de": "Ion"}), (4, "salt", {"de": "Salz"})],
        rejected=[(3, "heading over several columns")],
        warnings=["unknown_column"],
    ),
    Difficult(
        "several sheets, one without a header",
        workbook(
            {
                "Law": rows(("term", "de"), ("tort", "Delikt")),
                "Read me": rows(("Ask Ann",), ("or Bob",)),
                "Med": rows(("de", "term"), ("Pest", "plague")),
            }
        ),
        [(2, "tort", {"de": "Delikt"}), (2, "plague", {"de": "Pest"})],
        rejected=[(1, "no header"), (2, "no header")],
    ),
    Difficult(
        "a sheet without a column of terms",
        workbook({"Law": rows(("term", "de"), ("tort", "Delikt")), "More": rows(("de", "fr"), ("Pest", "peste"))}),
        [(2, "tort", {"de": "Delikt"})],
        rejected=[(2, "no column of terms")],
    ),
    Difficult(
        "a hidden sheet",
        _hidden(parts({"A": rows(("ion", "Ion")), "Prices": rows(("secret", "geheim"))})),
        [_ONE],
        warnings=["hidden_sheet", "no_heading"],
    ),
    Difficult(
        "a table far from the corner",
        workbook(
            {
                "A": '<sheetData><row r="9"><c r="D9" t="inlineStr"><is><t>ion</t></is></c><c r="E9" t="inlineStr"><is><t>Ion</t></is></c></row></sheetData>'
            }
        ),
        [(9, "ion", {"de": "Ion"})],
        warnings=["no_heading"],
    ),
    Difficult(
        "formulas count by the value that the file holds",
        workbook(
            {
                "A": '<sheetData><row r="1"><c r="A1" t="str"><f>WEBSERVICE("http://x")</f><v>ion</v></c><c r="B1"><f>1+1</f></c></row><row r="2"><c r="A2" t="inlineStr"><is><t>salt</t></is></c><c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c></row></sheetData>'
            }
        ),
        [(1, "ion", {}), (2, "salt", {})],
        warnings=["formula"],
    ),
    Difficult(
        "numbers and yes or no",
        workbook(
            {
                "A": '<sheetData><row r="1"><c r="A1"><v>42.0</v></c><c r="B1" t="b"><v>1</v></c></row><row r="2"><c r="A2"><v>0.30000000000000004</v></c></row></sheetData>'
            }
        ),
        [(1, "42", {"de": "yes"}), (2, "0.3", {})],
        warnings=["no_heading"],
    ),
    Difficult(
        "runs of letters and their reading aids",
        workbook(
            {"A": '<sheetData><row r="1">' + _SHARED_CELL.format("A", 1) + "</row></sheetData>"},
            '<si><r><t>io</t></r><r><t>n</t></r><rPh sb="0" eb="1"><t>eye</t></rPh></si>',
        ),
        [(1, "ion", {})],
    ),
    Difficult(
        "cells that do not say where they stand",
        workbook(
            {
                "A": '<sheetData><row><c t="inlineStr"><is><t>ion</t></is></c><c t="inlineStr"><is><t>Ion</t></is></c></row></sheetData>'
            }
        ),
        [_ONE],
        warnings=["no_heading"],
    ),
    Difficult(
        "columns chosen by letter",
        workbook({"A": rows(("1", "ion", "", "Ion"))}),
        [_ONE],
        columns=Columns("B", "D"),
        name="export.csv",
    ),
)

REFUSED_WORKBOOKS = (
    Refused(
        "a value in the last corner",
        workbook(
            {
                "A": '<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
            }
        ),
        "17179869184 cells",
    ),
    Refused(
        "one long text in many cells",
        workbook(
            {
                "A": "<sheetData>"
                + "".join(f'<row r="{n}">{_SHARED_CELL.format("A", n)}</row>' for n in range(1, 300))
                + "</sheetData>"
            },
            f"<si><t>{_LONG}</t></si>",
        ),
        "256 million characters",
    ),
    Refused("declared entities", _with_sheet('<!DOCTYPE a [<!ENTITY b "c">]>' + worksheet("")), "no document type"),
    Refused("a part in another encoding", _with_sheet(worksheet("").encode("utf-16")), "not the utf-8"),
    Refused(
        "a cell of no place",
        workbook({"A": '<sheetData><row r="1"><c r="1A"><v>1</v></c></row></sheetData>'}),
        "'1A' is no cell",
    ),
    Refused(
        "a text under a number that is written in many ways",
        workbook(
            {"A": f'<sheetData><row r="1"><c r="A1" t="s"><v>{"0" * 40}</v></c></row></sheetData>'}, "<si><t>x</t></si>"
        ),
        "is no row or text",
    ),
    Refused(
        "a row of no number",
        workbook({"A": '<sheetData><row r="+5"><c r="A1"><v>1</v></c></row></sheetData>'}),
        "'\\+5' is no row or text",
    ),
    Refused(
        "a text that is not there",
        workbook({"A": '<sheetData><row r="1"><c r="A1" t="s"><v>7</v></c></row></sheetData>'}),
        "cannot be read as XLSX",
    ),
    Refused(
        "a sheet that is not there",
        pack({name: part for name, part in parts({"A": ""}).items() if "sheet1" not in name}),
        "cannot be read as XLSX",
    ),
    Refused(
        "a sheet outside of the archive",
        pack(
            {
                **parts({"A": ""}),
                "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="/etc/passwd"/></Relationships>',
            }
        ),
        "cannot be read as XLSX|no visible sheet",
    ),
    Refused(
        "hidden sheets only", _hidden(parts({"A": "", "Secret": rows(("ion", "Ion"))})), "no visible sheet.*Secret"
    ),
    Refused(
        "XML that is broken off",
        _with_sheet(worksheet(rows(("ion", "Ion")))[:-40]),
        "part xl/worksheets/sheet1.xml is not sound XML",
    ),
    Refused("an OpenDocument file", pack({"mimetype": "x", "content.xml": "<x/>"}), "OpenDocument.*save it as XLSX"),
    Refused("a Word document", pack({"word/document.xml": "<x/>"}), "Word document"),
    Refused("a binary workbook", pack({"xl/workbook.bin": b"x"}), "XLSB"),
    Refused("any other archive", pack({"g.csv": "ion"}), "unpack it"),
    Refused("an archive that is broken off", workbook({"A": rows(("ion", "Ion"))})[:-30], "damaged archive"),
)
