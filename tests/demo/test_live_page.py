"""Live and booth view in a real browser: recorded speech by a fake microphone, by files, by the sound of a tab."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, expect

from app.samples import samples_folder
from training.corpus.rows import read_examples

OpenPage = Callable[[], Page]
# In the order in which they are said; the first two within three seconds.
FIRST_TERMS = ("John Dashwood", "leisure", "consider")


def terms(page: Page) -> list[str]:
    """The terms on the board, newest first, without their counters."""
    shown = page.locator("#board .row:not(.empty) .c-term").all_text_contents()
    return [re.sub(r" ×\d+$", "", term) for term in shown]


def listen(page: Page) -> None:
    """Start, and wait until the server listens."""
    page.click("#start")
    expect(page.locator("#connection")).to_have_text("listening")


def play(page: Page, name: str, pace: str = "fast") -> None:
    """Listen to a bundled recording to its end."""
    page.select_option("#source", f"recording:{name}")
    page.select_option("#pace", pace)
    _to_its_end(page)


def play_file(page: Page, path: Path) -> None:
    """Listen to a file, as fast as it goes, to its end."""
    page.select_option("#source", "file")
    page.set_input_files("#file", path)
    page.select_option("#pace", "fast")
    _to_its_end(page)


def _to_its_end(page: Page) -> None:
    before = page.locator("#connection").get_attribute("data-over") or ""
    page.click("#start")
    expect(page.locator(f"#connection[data-over]:not([data-over='{before}'])")).to_have_count(1)


def test_terms_of_a_microphone_stand_in_two_languages(open_page: OpenPage, screenshots: Path) -> None:
    """Allow, press one button, speak: terms with both translations, the newest first, within 2 s of each term's end."""
    page = open_page()
    page.screenshot(path=screenshots / "idle-dark.png")
    page.select_option("#lang-second", "es")
    listen(page)
    row = page.locator("#board .row", has_text="leisure")
    expect(row.locator(".c-first")).to_have_text("Muße")
    expect(row.locator(".c-second")).to_have_text("ocio")
    expect(page.locator("#board .row:not(.empty)")).to_have_count(8)
    assert len(page.locator("#board .row").all()) == 8
    page.screenshot(path=screenshots / "booth-dark.png")
    page.click("#theme")
    page.screenshot(path=screenshots / "booth-light.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=screenshots / "phone.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone must not scroll sideways"
    page.set_viewport_size({"width": 1280, "height": 800})
    bounds = page.locator("#board").bounding_box()
    assert bounds is not None
    assert bounds["y"] + bounds["height"] <= 800, "all rows are seen without scrolling"
    page.click("#start")
    expect(page.locator("#connection")).to_have_text("not listening")
    page.click("#tab-engineer")
    said = page.locator("#latency-says")
    expect(said).to_contain_text("95 % within")
    slow_s = float(str(said.text_content()).rpartition("within ")[2].removesuffix(" s."))
    assert slow_s < 2


def test_mute_pin_and_undo_by_keys_alone(open_page: OpenPage) -> None:
    """m, p, u, the arrows, + and -: what an interpreter does with one hand, without a pointer."""
    page = open_page()
    play(page, "austen-sense-and-sensibility-0870.flac")
    before = terms(page)
    assert set(FIRST_TERMS) <= set(before)
    page.keyboard.press("m")
    assert terms(page) == before[1:]
    expect(page.locator("#muted")).to_contain_text(before[0])
    page.keyboard.press("u")
    assert terms(page) == before
    page.keyboard.press("ArrowDown")
    page.keyboard.press("p")
    pinned = page.locator("#board .row.pinned .c-term")
    expect(pinned).to_have_text(before[1])
    assert terms(page)[-1] == before[1]
    page.keyboard.press("u")
    expect(pinned).to_have_count(0)
    size = "getComputedStyle(document.querySelector('.row .c-first')).fontSize"
    normal = page.evaluate(f"parseFloat({size})")
    page.keyboard.press("+")
    assert page.evaluate(f"parseFloat({size})") > normal
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert page.evaluate(f"parseFloat({size})") < normal
    page.keyboard.press("f")
    expect(page.locator("#termcue:fullscreen")).to_have_count(1)


def test_a_muted_term_is_not_hinted_by_the_server_either(open_page: OpenPage) -> None:
    """What is muted stays muted in the next session: the server is told before its first hint."""
    page = open_page()
    play(page, "austen-sense-and-sensibility-0870.flac")
    page.locator("#board .row", has_text="leisure").locator("[data-act=mute]").click()
    play(page, "austen-sense-and-sensibility-0870.flac", "real")
    assert "leisure" not in terms(page)
    assert "consider" in terms(page)
    page.click("#tab-engineer")
    expect(page.locator("#counts")).to_contain_text("No hint: muted")


def test_a_term_said_again_bumps_its_counter(open_page: OpenPage, tmp_path: Path) -> None:
    """One row for a term however often it is said."""
    samples, rate = soundfile.read(samples_folder() / "austen-sense-and-sensibility-0890.flac", dtype="float32")
    twice = np.concatenate([samples, np.zeros(2 * rate, np.float32), samples])
    soundfile.write(tmp_path / "twice.wav", twice, rate)
    page = open_page()
    play_file(page, tmp_path / "twice.wav")
    expect(page.locator("#board .row", has_text="ill-disposed").locator(".count")).to_have_text(" ×2")
    assert terms(page).count("ill-disposed") == 1


def test_judged_hints_become_training_rows(open_page: OpenPage, tmp_path: Path) -> None:
    """Right and wrong: what is downloaded is read by `termcue train`'s own reader, with the sound of the hint."""
    page = open_page()
    listen(page)
    for term, verdict in (("leisure", "right"), ("consider", "wrong")):
        row = page.locator("#board .row", has_text=term)
        row.locator(f"[data-act={verdict}]").click()
        expect(row.locator(f"[data-act={verdict}]")).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Muted terms and judged hints").click()
    expect(page.locator("#judged")).to_have_text("Judged: 1 right, 1 wrong.")
    with page.expect_download() as download:
        page.click("#export-training")
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    right, wrong = read_examples([tmp_path / "rows.jsonl"])
    assert [span.term for span in right.terms] == ["leisure"]
    assert wrong.is_no_term
    samples, rate = soundfile.read(right.audio)
    assert rate == 16_000
    assert len(samples) == right.samples
    span = right.terms[0]
    assert np.sqrt(np.mean(samples[span.start_sample : span.end_sample] ** 2)) > 0.01
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["verdict"] for row in rows] == ["right", "wrong"]


def test_a_file_of_ones_own_goes_the_same_way(open_page: OpenPage) -> None:
    """An uploaded recording is heard as fast as it goes, and never leaves for anywhere else."""
    page = open_page()
    play_file(page, samples_folder() / "austen-sense-and-sensibility-0890.flac")
    assert "cold-hearted" in terms(page)
    expect(page.locator("#connection")).to_have_text("not listening")


def test_a_file_that_is_no_sound_is_said_so(open_page: OpenPage, tmp_path: Path) -> None:
    """The cure stands in the message."""
    page = open_page()
    (tmp_path / "notes.txt").write_text("no sound at all", encoding="utf-8")
    page.select_option("#source", "file")
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.click("#start")
    expect(page.locator("#banners")).to_contain_text("give WAV, FLAC, MP3")


def test_the_sound_of_a_tab_is_a_source(open_page: OpenPage) -> None:
    """A meeting in a tab: the page shares itself, which plays a recording, and hears the terms in it."""
    page = open_page()
    page.evaluate(
        """async () => {
          const real = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getDisplayMedia = (wish) => real({ ...wish, preferCurrentTab: true });
          const player = new Audio("desk/recordings/austen-sense-and-sensibility-0870.flac");
          player.loop = true;
          await player.play();
        }"""
    )
    page.select_option("#source", "tab")
    listen(page)
    expect(page.locator("#board")).to_contain_text("prudently")
