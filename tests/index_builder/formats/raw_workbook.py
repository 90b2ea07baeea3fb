"""XLSX files written part by part, so that they can hold what no spreadsheet program writes."""

import io
import zipfile
from collections.abc import Mapping, Sequence

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def parts(sheets: Mapping[str, str], shared: str = "") -> dict[str, str]:
    """The parts of a workbook: each sheet by its name, with the XML inside of `<worksheet>`; `shared` of `<sst>`."""
    numbered = list(enumerate(sheets, 1))
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in numbered)
    related = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n, _ in numbered]
    related.append(("rIdS", "sharedStrings", "sharedStrings.xml"))
    written = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" '
        f'ContentType="{_SHEET_TYPE}.worksheet+xml"/></Types>',
        "_rels/.rels": _related([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _related(related),
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{shared}</sst>',
    }
    sheet_parts = {f"xl/worksheets/sheet{n}.xml": worksheet(sheets[name]) for n, name in numbered}
    return written | sheet_parts


def worksheet(inside: str) -> str:
    """A sheet's part."""
    return f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}">{inside}</worksheet>'


def rows(*cells: Sequence[str]) -> str:
    """Rows of texts, "" for no cell, as the inside of a worksheet."""
    written = []
    for number, texts in enumerate(cells, 1):
        inner = "".join(
            f'<c r="{chr(65 + place)}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
            for place, text in enumerate(texts)
            if text
        )
        written.append(f'<row r="{number}">{inner}</row>')
    return f"<sheetData>{''.join(written)}</sheetData>"


def pack(written: Mapping[str, str | bytes]) -> bytes:
    """Parts as an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.items():
            archive.writestr(name, content)
    return packed.getvalue()


def workbook(sheets: Mapping[str, str], shared: str = "") -> bytes:
    """A whole workbook; see `parts`."""
    return pack(parts(sheets, shared))


def _related(relations: Sequence[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{name}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for name, kind, target in relations
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'
