"""The glossary tab in a real browser: files brought in and tables edited, live at once while somebody speaks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import xlsxwriter
from playwright.sync_api import Page, Route, expect

from tests.demo.test_failing_page import banner
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


def test_two_editors_do_not_overwrite_each_other(open_page: OpenPage, tmp_path: Path) -> None:
    """Who publishes second is told, loses nothing that was typed, and can begin from the last version."""
    first, second = open_page(), open_page()
    bring_in(first, workbook(tmp_path / "talk.xlsx", TALK), "shared")
    expect(first.locator("#outcome")).to_contain_text("Published as shared")
    second.reload()
    second.select_option("#glossary", "shared")
    second.click("#tab-glossary")
    for page, said in ((second, "herzlos"), (first, "kalt")):
        page.click("#book-edit")
        page.get_by_label("translation:de of cold-hearted").fill(said)
    first.click("#book-save")
    expect(first.locator("#outcome .good")).to_contain_text("and in use")
    second.click("#book-save")
    expect(second.locator("#outcome .error")).to_contain_text("was published meanwhile")
    expect(second.get_by_label("translation:de of cold-hearted")).to_have_value("herzlos")
    second.click("#book-cancel")
    expect(second.locator("#book")).to_contain_text("kalt")
    second.click("#book-edit")
    second.get_by_label("Take out amiable").click()
    second.click("#book-save")
    expect(second.locator("#outcome")).to_contain_text("0 added, 1 removed, 0 changed")


def test_the_next_file_has_a_name_of_its_own(open_page: OpenPage, tmp_path: Path) -> None:
    """The second file is no new version of the first; a name that was typed stays."""
    page = open_page()
    page.click("#tab-glossary")
    for name in ("monday", "tuesday"):
        page.set_input_files("#upload-file", workbook(tmp_path / f"{name}.xlsx", TALK))
        expect(page.locator("#upload-id")).to_have_value(name)
    page.fill("#upload-id", "mine")
    page.set_input_files("#upload-file", tmp_path / "monday.xlsx")
    expect(page.locator("#upload-id")).to_have_value("mine")


def test_what_was_chosen_last_is_shown_whichever_answer_comes_last(open_page: OpenPage, tmp_path: Path) -> None:
    """Who edits then edits what the list names, not what was chosen before and took longer to read."""
    page = open_page()
    bring_in(page, workbook(tmp_path / "talk.xlsx", TALK), "latest")
    expect(page.locator("#outcome")).to_contain_text("Published as latest")
    slow: list[Route] = []
    page.route("**/desk/glossaries/sample", lambda route: slow.append(route))
    page.click("#tab-live")
    with page.expect_request("**/desk/glossaries/sample"):
        page.select_option("#glossary", "sample")
    page.select_option("#glossary", "latest")
    page.click("#tab-glossary")
    expect(page.locator("#book")).to_contain_text("hartherzig")
    with page.expect_response("**/desk/glossaries/sample"):
        slow[0].continue_()
    page.click("#book-edit")
    page.get_by_label("translation:de of amiable").fill("lieb")
    page.click("#book-save")
    expect(page.locator("#outcome .good")).to_contain_text("Published as latest")


def test_a_glossary_that_cannot_be_taken_is_not_shown_as_taken(open_page: OpenPage, tmp_path: Path) -> None:
    """The list names what is listened for; published again after another was picked, the first one is taken back."""
    page = open_page()
    bring_in(page, workbook(tmp_path / "talk.xlsx", TALK), "taken")
    expect(page.locator("#outcome")).to_contain_text("Published as taken")
    page.click("#tab-live")
    listen(page)
    page.select_option("#glossary", "sample")
    expect(page.locator("#board")).to_contain_text("selbstsüchtig")
    page.evaluate("document.getElementById('glossary').append(new Option('gone', 'gone'))")
    page.select_option("#glossary", "gone")
    expect(page.locator(banner(page, "swap"))).to_be_visible()
    expect(page.locator("#glossary")).to_have_value("sample")
    bring_in(page, workbook(tmp_path / "more.xlsx", [*TALK[:3], ("leisure", "Mußezeit", "loisir")]), "taken")
    expect(page.locator("#outcome .good")).to_contain_text("and in use")
    page.click("#tab-live")
    expect(page.locator("#glossary")).to_have_value("taken")
    expect(page.locator("#board")).to_contain_text("Mußezeit")
