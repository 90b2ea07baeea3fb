"""What the page says when something is wrong: in plain words, with the cure, and what is heard is not lost."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.demo.page_server import PageServer
from tests.demo.test_live_page import listen, terms

OpenPage = Callable[[], Page]


def banner(page: Page, name: str) -> str:
    """The selector of a banner."""
    return f"#banners [data-name={name}]"


def test_a_refused_microphone_is_explained(browser: Browser, server: PageServer, screenshots: Path) -> None:
    """Who refuses by mistake reads where to allow it, and nothing looks as if it listened."""
    visitor = browser.new_context(permissions=[], viewport={"width": 1280, "height": 800})
    page = visitor.new_page()
    page.goto(server.page_url)
    expect(page.locator("#glossary option")).not_to_have_count(0)
    page.click("#start")
    expect(page.locator(banner(page, "failed"))).to_contain_text(
        "allow it for this page in the browser's site settings"
    )
    expect(page.locator("#connection")).to_have_text("not listening")
    page.screenshot(path=screenshots / "refused.png")
    visitor.close()


def test_an_insecure_page_says_why_it_hears_nothing(context_of: Callable[[str], Page], screenshots: Path) -> None:
    """Complaint 7: over http:// from another machine the reason and the way out stand above everything."""
    page = context_of("Object.defineProperty(window, 'isSecureContext', { value: false })")
    expect(page.locator(banner(page, "insecure"))).to_contain_text("--ssl-self-signed")
    page.screenshot(path=screenshots / "insecure.png")


def test_a_shared_screen_without_sound_is_explained(context_of: Callable[[str], Page]) -> None:
    """Whoever forgets to tick "share audio" reads so."""
    page = context_of(
        "navigator.mediaDevices.getDisplayMedia = async () => document.createElement('canvas').captureStream(1)"
    )
    page.select_option("#source", "tab")
    page.click("#start")
    expect(page.locator(banner(page, "failed"))).to_contain_text('tick "share audio"')


def test_a_lost_server_is_said_and_comes_back(open_page: OpenPage, server: PageServer, screenshots: Path) -> None:
    """Complaint 6: the server goes away and is started anew; the page says so, and goes on by itself with its terms."""
    page = open_page()
    listen(page)
    expect(page.locator("#board")).to_contain_text("leisure")
    server.stop()
    expect(page.locator("#connection")).to_have_text("connection lost")
    expect(page.locator(banner(page, "connection"))).to_contain_text("What is said meanwhile is kept")
    page.screenshot(path=screenshots / "lost-server.png")
    server.start()
    expect(page.locator("#connection")).to_have_text("listening")
    expect(page.locator(banner(page, "connection"))).to_contain_text("The connection is back")
    expect(page.locator("#board")).to_contain_text("amiable")
    assert "leisure" in terms(page)
    page.click("#tab-engineer")
    expect(page.locator("#counts tr", has_text="Connections made again")).to_contain_text("1")


def test_a_server_that_lags_is_told(open_page: OpenPage, screenshots: Path) -> None:
    """Complaint 1: the page says how far behind the server is, in words that cost no thought."""
    page = open_page()

    def with_lag(route: WebSocketRoute) -> None:
        told = {"type": "Lag", "seq": 9_999, "audio_received_s": 9.0, "audio_processed_s": 4.8, "lag_s": 4.2}
        server = route.connect_to_server()
        warning = {"type": "Warning", "seq": 9_998, "code": "degraded_hop", "message": "4.2 s behind: less often"}
        first = [True]

        def pass_on(text: str | bytes) -> None:
            route.send(text)
            if first.pop() if first else False:
                route.send(json.dumps(warning))
                route.send(json.dumps(told | {"dropped_windows": 3, "state": "skipping"}))

        server.on_message(pass_on)

    page.route_web_socket(re.compile(".*/v1/hints.*"), with_lag)
    listen(page)
    expect(page.locator(banner(page, "lag"))).to_contain_text("4.2 s behind; it leaves speech out")
    expect(page.locator("#banners .banner")).to_have_count(1)
    page.screenshot(path=screenshots / "lag.png")


def test_ten_seconds_without_speech_are_told(open_page: OpenPage, tmp_path: Path) -> None:
    """Sound that is no speech, though the meter moves, and channels that cancel; of a file, no microphone is asked for."""
    page = open_page()
    noise = np.random.default_rng(1).normal(0, 0.003, 16_000 * 20)
    page.select_option("#source", "file")
    for samples, said in (
        (
            noise,
            "No speech for 10 seconds, though sound comes in. If somebody speaks in this recording, is it too soft,",
        ),
        (np.stack([noise, -noise], 1), "If somebody speaks in this recording, do its channels cancel each other,"),
    ):
        soundfile.write(tmp_path / "noise.wav", samples, 16_000, subtype="PCM_16")
        page.set_input_files("#file", tmp_path / "noise.wav")
        listen(page)
        expect(page.locator(banner(page, "silence"))).to_contain_text(said)
        page.click("#start")
        expect(page.locator(banner(page, "silence"))).to_have_count(0)


def test_twenty_minutes_leave_no_trace_in_memory(open_page: OpenPage) -> None:
    """Complaint 4: what twenty minutes of messages leave in the page's memory is what the downloads need, no more."""
    page = open_page()
    sockets: list[WebSocketRoute] = []
    page.route_web_socket(re.compile(".*/v1/hints.*"), lambda route: sockets.append(route))
    page.click("#start")
    expect(page.locator("#connection")).to_have_text("connecting …")
    while not sockets:
        page.wait_for_timeout(20)
    route = sockets[0]
    audio = {"encoding": "linear16", "sample_rate": 48_000, "channels": 1}
    glossary = {"id": "sample", "version": "v", "terms": 54}
    begin = {"type": "Begin", "protocol": 1, "session_id": "s", "glossary": glossary, "profile": "booth"}
    route.send(json.dumps(begin | {"seq": 0, "threshold": 0.9, "audio": audio}))
    sent = [0]

    def minutes(count: int) -> float:
        for at in range(count * 60 * 3):
            sent[0] += 1
            route.send(json.dumps(_hint(sent[0]) if at % 6 == 0 else _abstention(sent[0])))
        page.wait_for_timeout(300)
        devtools = page.context.new_cdp_session(page)
        devtools.send("HeapProfiler.collectGarbage")
        return float(devtools.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    minutes(2)
    early = minutes(1)
    late = minutes(17)
    assert late - early < 4, f"{early:.1f} MB after 3 minutes, {late:.1f} MB after 20"
    page.evaluate("document.getElementById('start').click()")


def _hint(seq: int) -> dict[str, object]:
    start = seq / 3
    return {
        **{
            "type": "TermHint",
            "seq": seq,
            "hint_id": f"h{seq}",
            "rev": 1,
            "is_final": True,
            "term": f"term {seq % 50}",
        },
        **{"translation": "Übersetzung", "entry_id": f"e:{seq % 50}", "start": start, "end": start + 0.4},
        **{"start_sample": int(start * 16_000), "end_sample": int(start * 16_000) + 6_400, "emitted": start + 1},
        **{"score": 0.95, "raw_similarity": None, "rank": 1, "occurrence": 1, "glossary_version": "v"},
        **{"alternatives": [], "latency_ms": {"since_term_end": 600}},
    }


def _abstention(seq: int) -> dict[str, object]:
    return {
        "type": "Abstain",
        "seq": seq,
        "start": seq / 3,
        "end": seq / 3 + 0.3,
        "reason": "refractory",
        "best_score": 0.2,
    }
