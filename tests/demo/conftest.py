"""The server, the browser and the pages that the tests of the page share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.demo.browsers import chromium, speech_file
from tests.demo.page_server import PageServer, page_server

SIZE = {"width": 1280, "height": 800}
# A machine under load is no failure.
PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures of this run lie."""
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """The sample and the page."""
    with page_server(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone plays recorded speech."""
    speech = speech_file(tmp_path_factory.mktemp("microphone") / "speech.wav")
    arguments = [
        *("--no-sandbox", "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"),
        *(f"--use-file-for-fake-audio-capture={speech}", "--auto-accept-this-tab-capture"),
    ]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(), args=arguments, ignore_default_args=["--mute-audio"]
        )
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor who allows the microphone and likes it dark; nobody may be asked but the server."""
    expect.set_options(timeout=PATIENCE_MS)
    visitor = browser.new_context(
        viewport={"width": SIZE["width"], "height": SIZE["height"]},
        color_scheme="dark",
        permissions=["microphone"],
        ignore_https_errors=True,
    )
    visitor.set_default_timeout(PATIENCE_MS)
    foreign: list[str] = []
    visitor.on("request", lambda request: None if _is_own(request.url) else foreign.append(request.url))
    faults: list[str] = []
    visitor.on("weberror", lambda error: faults.append(str(error.error)))
    yield visitor
    visitor.close()
    assert foreign == [], "requests left the host"
    assert faults == [], "scripts of the page failed"


@pytest.fixture
def open_page(context: BrowserContext, server: PageServer) -> Callable[[], Page]:
    """Opens the page and waits until it can be used."""

    def opened() -> Page:
        page = context.new_page()
        page.goto(server.page_url)
        expect(page.locator("#glossary option")).not_to_have_count(0)
        return page

    return opened


@pytest.fixture
def context_of(context: BrowserContext, server: PageServer) -> Callable[[str], Page]:
    """Opens the page in a browser that a script has changed before."""

    def opened(script: str) -> Page:
        page = context.new_page()
        page.add_init_script(script)
        page.goto(server.page_url)
        expect(page.locator("#glossary option")).not_to_have_count(0)
        return page

    return opened


def _is_own(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"
