"""The glossary tab in a real browser: files brought in and tables edited, live at once while somebody speaks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import xlsxwriter
from playwright.sync_api import Page, expect

from tests.demo.test_live_page import listen, play

OpenPage = Callable[[], Page]
TALK = [
    ("term", "de", "fr"),
    ("cold-hearted", "hartherzig", "insensible"),
    ("amiable", "liebreich", "aimable"),
    ("", "ohne Begriff", ""),
]


def workbook(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Rows as an XLSX file."""
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    return path


def bring_in(page: Page, path: Path, glossary_id: str) -> None:
    """Publish a file from the glossary tab."""
    page.click("#tab-glossary")
    page.fill("#upload-id", glossary_id)
    page.set_input_files("#upload-file", path)
    page.click("#upload")


def test_a_workbook_is_live_while_somebody_speaks(open_page: OpenPage, tmp_path: Path, screenshots: Path) -> None:
    """XLSX in, report shown, and the next hints come from it, then from the picked old one: one session."""
    page = open_page()
    listen(page)
    expect(page.locator("#board")).to_contain_text("leisure")
    bring_in(page, workbook(tmp_path / "talk.xlsx", TALK), "swapped")
    expect(page.locator("#outcome")).to_contain_text("Published as swapped, version")
    expect(page.locator("#outcome")).to_contain_text("3 rows: 2 entries, 0 merged, 1 rejected")
    expect(page.locator("#outcome")).to_contain_text("line 4")
    expect(page.locator("#glossary")).to_have_value("swapped")
    page.screenshot(path=screenshots / "glossary.png", full_page=True)
    page.click("#tab-live")
    page.select_option("#lang-second", "fr")
    row = page.locator("#board .row", has_text="liebreich")
    expect(row.locator(".c-second")).to_have_text("aimable")
    expect(page.locator("#connection")).to_have_text("listening")
    page.select_option("#glossary", "sample")
    expect(page.locator("#board")).to_contain_text("selbstsüchtig")
    page.click("#tab-engineer")
    expect(page.locator("#counts tr", has_text="Connections made again")).to_contain_text("0")
    expect(page.locator("#messages")).to_contain_text("GlossaryUpdated")


def test_a_new_version_tells_what_changed(open_page: OpenPage, tmp_path: Path) -> None:
    """Version and difference stand beside the report; the same file again makes no new version."""
    page = open_page()
    bring_in(page, workbook(tmp_path / "one.xlsx", TALK), "versions")
    expect(page.locator("#outcome")).to_contain_text("Published as versions")
    changed = [*TALK[:2], ("amiable", "liebenswert", "aimable"), ("leisure", "Muße", "loisir")]
    bring_in(page, workbook(tmp_path / "two.xlsx", changed), "versions")
    expect(page.locator("#outcome")).to_contain_text("1 added, 0 removed, 1 changed")
    expect(page.locator("#outcome")).to_contain_text("liebreich → liebenswert")
    page.click("#upload")
    expect(page.locator("#outcome")).to_contain_text("holds the same already")


def test_entries_are_edited_in_the_table(open_page: OpenPage, tmp_path: Path) -> None:
    """Correct a translation, add a term, publish: the hints have both."""
    page = open_page()
    bring_in(page, workbook(tmp_path / "talk.xlsx", TALK), "edited")
    expect(page.locator("#book-title")).to_contain_text("edited · 2 entries")
    page.click("#book-edit")
    page.get_by_label("translation:de of amiable").fill("lieb & wert")
    page.click("#book-add")
    added = page.locator("#book tbody tr").first
    added.get_by_label("term of a new entry").fill("selfish")
    added.get_by_label("translation:de of").fill("eigennützig")
    page.click("#book-save")
    expect(page.locator("#outcome")).to_contain_text("1 added, 0 removed, 1 changed")
    page.click("#tab-live")
    play(page, "austen-sense-and-sensibility-0890.flac")
    expect(page.locator("#board")).to_contain_text("eigennützig")


def test_a_file_that_is_no_glossary_is_said_so(open_page: OpenPage, tmp_path: Path) -> None:
    """What was served is served on."""
    page = open_page()
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    bring_in(page, tmp_path / "empty.csv", "nothing")
    expect(page.locator("#outcome")).to_contain_text("is empty; put one term on each line")
    bring_in(page, workbook(tmp_path / "talk.xlsx", TALK), "../escape")
    expect(page.locator("#outcome")).to_contain_text("cannot be used")
