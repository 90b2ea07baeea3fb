"""Whether the page can be used by everybody: axe's rules in both themes and all views, and the keyboard alone."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.demo.test_live_page import play

OpenPage = Callable[[], Page]
SERIOUS = ("serious", "critical")


def findings(page: Page) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    answer = Axe().run(page).response
    assert len(answer["passes"]) > 10, "axe has looked at nothing"
    violations = answer["violations"]
    return [
        f"{each['id']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in violations
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(open_page: OpenPage, theme: str) -> None:
    """Contrast, names, roles and order, with rows on the board and a message above them."""
    page = open_page()
    if theme == "light":
        page.click("#theme")
    page.select_option("#lang-second", "zh")
    play(page, "austen-sense-and-sensibility-0870.flac")
    page.select_option("#source", "file")
    page.click("#start")
    expect(page.locator("#banners .banner")).to_have_count(1)
    found = {}
    for view in ("live", "glossary", "engineer"):
        page.click(f"#tab-{view}")
        found[view] = findings(page)
    assert found == {"live": [], "glossary": [], "engineer": []}


def test_the_keyboard_suffices(open_page: OpenPage) -> None:
    """Tabs by arrows, start and stop by Enter, nothing that Tab cannot reach."""
    page = open_page()
    page.focus("#tab-live")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#view-glossary")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#view-live")).to_be_visible()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"theme", "source", "device", "glossary", "lang-first", "lang-second", "start"} <= reached
    page.focus("#start")
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_have_text("listening")
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_have_text("not listening")
