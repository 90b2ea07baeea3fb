"""Archives that are more than they seem."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from index_builder.formats import GlossaryFile, Languages, parse_glossary, sheet_bounds, workbook, workbook_parts
from index_builder.formats.sheet_bounds import SheetBounds
from streaming.errors import GlossaryError
from tests.index_builder.formats.raw_workbook import pack, parts, rows, worksheet
from tests.index_builder.formats.raw_workbook import workbook as raw_workbook

_SHEET = "xl/worksheets/sheet1.xml"


def _parse(content: bytes) -> list[str]:
    return [row.term for row in parse_glossary(GlossaryFile(Path("g.xlsx"), content), Languages()).rows]


def test_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that unpacks to more than the bound is given up at the bound."""
    monkeypatch.setattr(workbook_parts, "MAX_UNPACKED", 2**20)
    content = pack({**parts({"A": ""}), _SHEET: worksheet(" " * 2**24)})
    assert len(content) < 2**16
    with pytest.raises(GlossaryError, match="unpacks to more than 1 MiB; split the glossary"):
        _parse(content)


def test_lie_about_the_size_is_found() -> None:
    """What an archive says about its sizes is not believed."""
    content = bytearray(pack({_SHEET: worksheet(" " * 5000), **parts({"A": ""})}))
    place = content.rindex(b"PK\x01\x02", 0, content.index(_SHEET.encode(), content.index(b"PK\x01\x02")))
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(GlossaryError, match="damaged archive"):
        _parse(bytes(content))


def test_parts_that_stand_twice_are_refused() -> None:
    """Another reader might take the other one."""
    packed = io.BytesIO(pack(parts({"A": rows(("ion",))})))
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(_SHEET, worksheet(rows(("salt",))))
    with pytest.raises(GlossaryError, match="some twice"):
        _parse(packed.getvalue())


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, zipfile.ZIP_LZMA)])
def test_locked_and_oddly_packed_parts_are_refused(place: int, value: int) -> None:
    """Parts of an Office file are stored or deflated, and never locked by the archive."""
    content = bytearray(pack(parts({"A": rows(("ion",))})))
    content[content.index(b"PK\x01\x02") + place] = value
    with pytest.raises(GlossaryError, match="locked or packed in an unusual way"):
        _parse(bytes(content))


def test_pictures_and_macros_are_not_even_unpacked() -> None:
    """Only what a glossary is read from is taken out of the archive; names that lead elsewhere are nothing."""
    content = pack(
        {**parts({"A": rows(("ion",))}), "xl/media/a.png": bytes(100), "xl/vbaProject.bin": b"x", "../a": b"x"}
    )
    copied = workbook_parts.sound_workbook(GlossaryFile(Path("g"), content)).content
    with zipfile.ZipFile(io.BytesIO(copied)) as archive:
        assert set(archive.namelist()) == set(parts({"A": ""}))


def test_merged_ranges_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may reach over the whole sheet."""
    monkeypatch.setattr(workbook, "MAX_CELLS", 100)
    merged = "<mergeCells>" + '<mergeCell ref="A1:A1048576"/>' * 51 + "</mergeCells>"
    with pytest.raises(GlossaryError, match="merged cells over more than 100 rows"):
        _parse(raw_workbook({"A": rows(("ion",), ("", "Ion")) + merged}))


_CELL = st.tuples(st.integers(1, 40), st.integers(1, 60), st.text("ab", max_size=3))


@given(st.lists(_CELL, max_size=12))
def test_bounds_are_those_of_the_parser(cells: list[tuple[int, int, str]]) -> None:
    """The rectangle that is counted is no smaller than the one that calamine makes."""
    written = "".join(
        f'<row r="{row}"><c r="{sheet_bounds._letters_of(column)}{row}" t="inlineStr"><is><t>{text}</t></is></c></row>'
        for row, column, text in sorted(cells)
    )
    content = f"<sheetData>{written}</sheetData>"
    bounds = SheetBounds("g")
    bounds.scan(worksheet(content).encode(), "sheet")
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(raw_workbook({"A": content}))).get_sheet_by_index(0)
    assert bounds._cells >= (sheet.total_height * sheet.total_width if sheet.end else 0)


@given(st.integers(1, 18_278))
def test_letters_of_columns(number: int) -> None:
    """Letters and numbers of a column tell the same."""
    assert sheet_bounds._number_of(sheet_bounds._letters_of(number)) == number
    assert len(sheet_bounds._letters_of(number)) <= 3
