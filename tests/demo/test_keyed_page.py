"""The page of a server that asks for a key, as a phone in the same room opens it."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from app.page_access import new_key
from tests.demo.page_server import page_server


def test_a_key_in_the_address_opens_the_page_and_leaves_it(browser: Browser, tmp_path: Path) -> None:
    """Without a key the page asks for one in plain words; with it everything works, and the address no longer shows it."""
    key, keys = new_key()
    with page_server(tmp_path, keys) as server:
        visitor = browser.new_context(permissions=["microphone"])
        page = visitor.new_page()
        page.goto(server.page_url)
        expect(page.locator("#banners")).to_contain_text("type it into the field Key")
        page.fill("#key", "wrong")
        page.press("#key", "Enter")
        expect(page.locator("#banners")).to_contain_text("This key is not known here")
        page.evaluate("sessionStorage.clear()")
        page.goto("about:blank")
        page.goto(f"{server.page_url}#key={key}")
        expect(page.locator("#glossary option")).not_to_have_count(0)
        assert key not in page.url
        expect(page.locator("#key")).to_be_hidden()
        page.click("#start")
        expect(page.locator("#board")).to_contain_text("leisure", timeout=30_000)
        visitor.close()
