"""The page in a browser that is against it: storage that is shut, a device that stalls, texts from hell."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Dialog, Page, expect

from app.samples import samples_folder
from tests.demo.page_server import PageServer
from tests.demo.test_failing_page import banner
from tests.demo.test_glossary_page import bring_in, workbook
from tests.demo.test_live_page import listen, play, play_file, terms

OpenPage = Callable[[], Page]
AUSTEN = "austen-sense-and-sensibility-0870.flac"
SHUT = """for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
}"""
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
LOCK = """window.locks = [];
Object.defineProperty(navigator, "wakeLock", { value: { request: async (kind) => {
  window.locks.push(kind);
  return { release: async () => window.locks.pop() };
} } });"""
CONTEXTS = """const Real = AudioContext; window.contexts = [];
window.AudioContext = class extends Real { constructor(...all) { super(...all); window.contexts.push(this); } };"""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("script", [SHUT, FULL])
def test_a_browser_that_keeps_nothing(context_of: Callable[[str], Page], script: str) -> None:
    """Size and theme last as long as the page, and everything else works."""
    page = context_of(script)
    theme = page.locator("html").get_attribute("data-termcue")
    page.click("#theme")
    expect(page.locator("html")).not_to_have_attribute("data-termcue", str(theme))
    page.click("#larger")
    play(page, AUSTEN)
    assert "leisure" in terms(page)


def test_a_size_that_makes_no_sense_is_forgotten(context_of: Callable[[str], Page]) -> None:
    """Whatever an earlier version of the page left behind."""
    page = context_of("localStorage.setItem('termcue-size', 'NaN')")
    assert page.evaluate("document.getElementById('booth').style.getPropertyValue('--size')") == "1"


def test_a_device_that_gives_no_sound_is_told_and_woken(context_of: Callable[[str], Page]) -> None:
    """A sleeping tab or a call stops the frames: the page says so and does not wait for sound that tells the time."""
    page = context_of(CONTEXTS)
    listen(page)
    page.evaluate(
        "const context = contexts.at(-1); context.wake = context.resume.bind(context);"
        "context.resume = async () => {}; context.suspend()"
    )
    expect(page.locator(banner(page, "stalled"))).to_contain_text("No sound comes from the device")
    page.evaluate("contexts.at(-1).resume = contexts.at(-1).wake")
    expect(page.locator(banner(page, "stalled"))).to_have_count(0)
    expect(page.locator("#connection")).to_have_text("listening")


def test_a_permission_that_is_taken_back_is_told(open_page: OpenPage) -> None:
    """As with a device that is pulled out: what was heard stays on the board, and nothing looks as if it listened on."""
    page = open_page()
    listen(page)
    expect(page.locator("#board")).to_contain_text("leisure")
    page.context.clear_permissions()
    expect(page.locator(banner(page, "failed"))).to_contain_text("the permission was taken back")
    expect(page.locator("#connection")).to_have_text("not listening")
    assert "leisure" in terms(page)


def test_the_screen_stays_on_while_somebody_is_heard(context_of: Callable[[str], Page]) -> None:
    """And no longer: the battery is the interpreter's."""
    page = context_of(LOCK)
    listen(page)
    page.wait_for_function("locks.length === 1")
    page.click("#start")
    page.wait_for_function("locks.length === 0")


def test_leaving_by_mistake_asks_first(open_page: OpenPage) -> None:
    """F5 in the middle of a speech would lose board, pins and judgements."""
    page = open_page()
    listen(page)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.evaluate("setTimeout(() => location.reload())")
    page.wait_for_timeout(1000)
    assert asked == ["beforeunload"]
    expect(page.locator("#connection")).to_have_text("listening")


def test_keys_are_the_board_s_after_a_list_was_pointed_at(open_page: OpenPage) -> None:
    """A letter pressed for the board changes no list, and arrows choose a row also after a tab was clicked."""
    page = open_page()
    play(page, AUSTEN)
    page.evaluate("document.getElementById('lang-second').dispatchEvent(new PointerEvent('pointerdown'))")
    page.focus("#lang-second")
    page.select_option("#lang-second", "es")
    assert page.evaluate("document.activeElement.id") != "lang-second"
    page.click("#tab-live")
    before = terms(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    assert terms(page) == [before[0], *before[2:]]
    page.keyboard.press("F")
    expect(page.locator("#termcue:fullscreen")).to_have_count(1)


def test_texts_of_a_glossary_stay_texts(open_page: OpenPage, tmp_path: Path) -> None:
    """Markup, scripts from right to left, and 10,000 letters: shown as they are, inside their cells."""
    page = open_page()
    rows = [
        ("term", "de", "ar"),
        ("leisure", EVIL, "وقت الفراغ"),
        ("consider", "ü" * 10_000, EVIL),
        (EVIL, "x", "x"),
    ]
    bring_in(page, workbook(tmp_path / "<b onclick=alert(1)>.xlsx", rows), "hostile")
    expect(page.locator("#outcome")).to_contain_text("Published as hostile")
    page.click("#tab-live")
    page.select_option("#lang-second", "ar")
    play(page, AUSTEN)
    row = page.locator("#board .row", has_text="leisure")
    expect(row.locator(".c-first")).to_have_text(EVIL)
    assert row.locator(".c-second").evaluate("cell => cell.matches(':dir(rtl)')")
    page.get_by_text("History").click()
    expect(page.locator("#history bdi").first).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "document.getElementById('history').scrollWidth <= document.getElementById('history').clientWidth"
    )
    assert page.locator("#termcue img").count() == 0


def test_first_sight_on_a_phone(open_page: OpenPage, screenshots: Path) -> None:
    """What to do stands between the controls and the buttons, over neither."""
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=screenshots / "idle-phone.png")
    boxes = [page.locator(place).bounding_box() for place in ("#start", "#quiet", "#smaller")]
    ends = [(box["y"], box["y"] + box["height"]) for box in boxes if box is not None]
    assert len(ends) == 3
    assert ends[0][1] <= ends[1][0]
    assert ends[1][1] <= ends[2][0]


def test_what_is_marked_on_the_board_and_in_the_history_stays_marked(open_page: OpenPage) -> None:
    """Whoever copies a translation has the time to: rows that have not changed are not drawn anew."""
    page = open_page()
    play(page, AUSTEN)
    page.get_by_text("History").click()
    expect(page.locator("#history li").first).to_be_visible()
    for place in ("#history li", "#board .row:not(.empty) .c-first"):
        marked = page.evaluate(
            f"(() => {{ getSelection().selectAllChildren(document.querySelector('{place}'));"
            " return getSelection().toString(); })()"
        )
        page.wait_for_timeout(1500)
        assert marked
        assert page.evaluate("getSelection().toString()") == marked


def test_judgements_outlive_their_session(open_page: OpenPage) -> None:
    """A hint judged when the speech is over has its sound still, and another session takes no judgement away."""
    page = open_page()
    page.get_by_text("Muted terms and judged hints").click()
    for count in (1, 2):
        play(page, AUSTEN)
        page.locator("#board .row", has_text="leisure").locator("[data-act=right]").click()
        expect(page.locator("#judged")).to_have_text(f"Judged: {count} right, 0 wrong.")
    with page.expect_download() as download:
        page.click("#export-rows")
    assert len(Path(download.value.path()).read_text(encoding="utf-8").splitlines()) == 2


def test_a_judgement_without_its_sound_makes_no_training_row(open_page: OpenPage, tmp_path: Path) -> None:
    """The page keeps a minute of sound: of an older hint it says so, and downloads no row that training would refuse."""
    samples, rate = soundfile.read(samples_folder() / AUSTEN, dtype="float32")
    soundfile.write(tmp_path / "long.wav", np.concatenate([samples, np.zeros(75 * rate, np.float32)]), rate)
    page = open_page()
    play_file(page, tmp_path / "long.wav")
    page.locator("#board .row", has_text="leisure").locator("[data-act=wrong]").click()
    expect(page.locator(banner(page, "judged"))).to_contain_text('The sound of "leisure" is gone')
    expect(page.locator("#judged")).to_have_text("No hint was judged.")


def test_a_key_pasted_into_an_open_page_is_taken(open_page: OpenPage, server: PageServer) -> None:
    """The browser loads nothing where only the fragment changes."""
    page = open_page()
    page.goto(f"{server.page_url}#key=sesame")
    page.wait_for_function("location.hash === ''")
    assert page.evaluate("sessionStorage.getItem('termcue-key')") == "sesame"
    expect(page.locator("#source option[value^='recording:']")).to_have_count(6)
