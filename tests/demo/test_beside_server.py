"""The page beside a running server: `termcue serve` and `termcue demo --server` as two programs, in a real browser."""

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.cli import run
from app.samples import samples_folder
from tests.demo.test_glossary_page import TALK, bring_in, workbook
from tests.demo.test_live_page import play

PROGRAM = [sys.executable, "-c", "from app.cli import main; main()"]
RECORDING = "austen-sense-and-sensibility-0890.flac"
READY_WITHIN_S = 90


class Started:
    """A program that serves, and all that it has told so far."""

    def __init__(self, process: "subprocess.Popen[str]", sign: str) -> None:
        self.told = ""
        self._process, self._sign, self._is_ready = process, sign, threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._is_ready.wait(READY_WITHIN_S), self.told

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.told += line
            if self._sign in line:
                self._is_ready.set()
        self._is_ready.set()

    def stop(self) -> None:
        """End it as a service manager does."""
        self._process.terminate()
        self._process.wait(30)
        self._reader.join(30)


@contextmanager
def started(arguments: list[str], sign: str) -> Iterator[Started]:
    """A `termcue` that has told `sign`."""
    with subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True) as process:
        program = Started(process, sign)
        try:
            yield program
        finally:
            program.stop()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pair:
    """Where a server and its page are, in one data folder that holds the glossary "talk"."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.ports = (free_port(), free_port())
        self.server, self.page = (f"http://127.0.0.1:{port}" for port in self.ports)
        sample = samples_folder() / "glossary.csv"
        assert run(["reindex", str(sample), "--id", "talk", "--data-dir", str(self.data)]) == 0

    def serve(self, *more: str) -> list[str]:
        """The arguments of the server."""
        return ["serve", "--data-dir", str(self.data), "--port", str(self.ports[0]), *more]

    def demo(self, *more: str) -> list[str]:
        """The arguments of the page; it is given the address that the server tells."""
        hints = self.server.replace("http", "ws") + "/v1/hints"
        return ["demo", "--server", hints, "--data-dir", str(self.data), "--port", str(self.ports[1]), *more]

    def open(self, context: BrowserContext) -> Page:
        """The page in a browser."""
        page = context.new_page()
        page.goto(f"{self.page}/demo/")
        return page


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A server and its page, not yet started."""
    return Pair(tmp_path)


def test_hints_and_new_versions_of_a_running_server(context: BrowserContext, pair: Pair, tmp_path: Path) -> None:
    """Hints come from the other server, with both languages; what is published is used there, or said not to be."""
    serving = pair.serve("--glossary", "talk", "--allow-origin", pair.page)
    with started(serving, "/v1/hints"), started(pair.demo(), "the page is at") as demo:
        page = pair.open(context)
        expect(page.locator("#glossary option")).to_have_count(1)
        expect(page.locator("#goes-to")).to_have_text(pair.server)
        page.select_option("#lang-second", "es")
        play(page, RECORDING)
        row = page.locator("#board .row", has_text="selfish")
        expect(row.locator(".c-first")).to_have_text("selbstsüchtig")
        expect(row.locator(".c-second")).not_to_have_text("–")
        book = workbook(tmp_path / "talk.xlsx", TALK)
        bring_in(page, book, "talk")
        expect(page.locator("#outcome .good")).to_contain_text("and in use")
        bring_in(page, book, "unheard-of")
        expect(page.locator("#outcome .warning")).to_contain_text("termcue serve --glossary unheard-of")
        expect(page.locator("#outcome .good")).not_to_contain_text("in use")
        expect(page.locator("#glossary")).to_have_value("talk")
        page.click("#tab-live")
        play(page, RECORDING)
        expect(page.locator("#board")).to_contain_text("hartherzig")
        expect(page.locator("#board")).not_to_contain_text("selbstsüchtig")
        assert "warning" not in demo.told


def test_a_server_that_does_not_know_the_page(context: BrowserContext, pair: Pair) -> None:
    """The command line and the page say what to start it with, and not that it were dead."""
    cure = f"--allow-origin {pair.page}"
    with started(pair.serve(), "/v1/hints"), started(pair.demo(), "--allow-origin") as demo:
        page = pair.open(context)
        expect(page.locator("#banners")).to_contain_text(cure)
        assert cure in demo.told


def test_a_server_with_a_key(context: BrowserContext, pair: Pair, tmp_path: Path) -> None:
    """The page asks for the key of the server and listens with it; neither program writes it anywhere."""
    keys = tmp_path / "keys.txt"
    keys.write_text(hashlib.sha256(b"sesame-and-more").hexdigest() + "\n", encoding="utf-8")
    asked = ("--api-keys-file", str(keys))
    with (
        started(pair.serve("--allow-origin", pair.page, *asked), "/v1/hints") as server,
        started(pair.demo(*asked), "the page is at") as demo,
    ):
        page = pair.open(context)
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        expect(page.locator("#banners")).to_contain_text("type it into the field Key")
        page.fill("#key", "sesame-and-more")
        page.press("#key", "Enter")
        expect(page.locator("#glossary option")).to_have_count(1)
        play(page, RECORDING)
        expect(page.locator("#board")).to_contain_text("selbstsüchtig")
        assert any(address.startswith("ws") for address in addresses)
        assert not [address for address in addresses if "sesame" in address]
    assert "sesame" not in server.told + demo.told
