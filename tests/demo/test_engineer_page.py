"""The engineer's view in a real browser: what was decided, how fast, and the session as files."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.demo.browsers import speech_file
from tests.demo.test_live_page import play, play_file

OpenPage = Callable[[], Page]
TALK = "austen-sense-and-sensibility-0870.flac"


def downloaded(page: Page, form: str) -> str:
    """The session in that form."""
    with page.expect_download() as download:
        page.click(f"[data-download={form}]")
    assert download.value.suggested_filename.endswith(f".{form}")
    return Path(download.value.path()).read_text(encoding="utf-8")


def count(page: Page, name: str) -> str:
    """A running count by its name."""
    return page.locator("#counts tr", has_text=name).locator("td").inner_text()


def test_the_view_of_a_session(open_page: OpenPage, tmp_path: Path, screenshots: Path) -> None:
    """Timeline drawn, reasons told, histogram and counts agree."""
    page = open_page()
    play_file(page, speech_file(tmp_path / "speech.wav"))
    page.click("#tab-engineer")
    hints = int(count(page, "Hints"))
    assert hints >= 10
    bars = page.locator("#latency b").all_inner_texts()
    assert sum(map(int, bars)) == hints
    expect(page.locator("#counts")).to_contain_text("No hint: refractory")
    expect(page.locator("#reasons")).to_contain_text("no candidate")
    pixels = page.evaluate(
        "(() => { const c = document.getElementById('timeline');"
        " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; })()"
    )
    assert len(np.unique(np.array(pixels).reshape(-1, 4), axis=0)) > 10, "the timeline is drawn"
    page.screenshot(path=screenshots / "engineer.png", full_page=True)


def test_the_session_as_files(open_page: OpenPage) -> None:
    """JSONL, CSV, SRT and VTT hold the same hints; where two languages are shown, both translations."""
    page = open_page()
    page.select_option("#lang-second", "es")
    play(page, TALK)
    page.click("#tab-engineer")
    hints = int(count(page, "Hints"))
    messages = [json.loads(line) for line in downloaded(page, "jsonl").splitlines()]
    said = [message["term"] for message in messages if message["type"] == "TermHint"]
    assert len(said) == hints
    assert {"Begin", "SpeechStarted", "Metadata"} <= {message["type"] for message in messages}
    rows = list(csv.DictReader(downloaded(page, "csv").splitlines()))
    assert [row["term"] for row in rows] == said
    assert all(row["translation:es"] for row in rows)
    assert downloaded(page, "srt").count(" --> ") == hints
    assert downloaded(page, "vtt").startswith("WEBVTT\n")


def test_the_dial_sets_the_threshold(open_page: OpenPage) -> None:
    """Fewer false hints an hour need a higher probability; the server confirms, and the expected recall is told."""
    page = open_page()
    page.click("#tab-engineer")
    dial = page.locator("#dial")
    expect(dial).to_be_enabled()
    dial.press("End")
    expect(page.locator("#dial-says")).to_contain_text("About 600 false hints an hour")
    page.click("#tab-live")
    page.select_option("#source", f"recording:{TALK}")
    page.click("#start")
    expect(page.locator("#connection")).to_have_text("listening")
    page.click("#tab-engineer")
    dial.press("Home")
    expect(page.locator("#dial-says")).to_contain_text("About 1 false hints an hour")
    expect(page.locator("#dial-says")).to_contain_text("Of the terms said, expect fewer than at 12 an hour")
    expect(page.locator("#messages")).to_contain_text("Configured")
