"""The browser client in a real browser: a page records a fake microphone and streams it."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import soundfile

from streaming.audio import AudioFormat
from streaming.browser import CLIENT_MODULE
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm
from tests.demo.browsers import chromium
from tests.streaming.client.faulty_server import Fault, server_thread

PAGE = Path(__file__).with_name("recording_page.html")
# The browser repeats the file: 3.2 s with two tones.
LOOP_MS = [(0, 600), (900, 600), (0, 800), (1700, 600), (0, 600)]


@contextmanager
def _page_server(reports: "SimpleQueue[Any]") -> Iterator[str]:
    """Serves the page and the module on the loopback, and takes the report."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            module = self.path.startswith("/client.js")
            body = (CLIENT_MODULE if module else PAGE).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if module else "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the tests quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def _browser(address: str, microphone: Path, profile: Path) -> Iterator[None]:
    command = [
        *(chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
        *(f"--use-file-for-fake-audio-capture={microphone}", "--autoplay-policy=no-user-gesture-required"),
        *("--disable-audio-output", f"--user-data-dir={profile}", address),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            yield
        finally:
            browser.terminate()
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()


def test_a_page_streams_its_microphone(served: Mapping[str, ServedGlossary], tmp_path: Path) -> None:
    """Complaint 8: audio leaves at the device's own rate and says so; hints come, over a connection that breaks too."""
    pcm = synthetic_pcm(LOOP_MS, AudioFormat(sample_rate=48_000))
    soundfile.write(tmp_path / "tones.wav", np.frombuffer(pcm, "<i2"), 48_000)
    reports: SimpleQueue[Any] = SimpleQueue()
    # The fake server counts seconds of 16 kHz.
    with server_thread(served, [Fault(after_s=6.0)]) as url, _page_server(reports) as pages:
        address = f"{pages}/?server={url}&ms=7000"
        with _browser(address, tmp_path / "tones.wav", tmp_path / "profile"):
            report = reports.get(timeout=60)
    assert report["error"] is None
    assert report["devices"] >= 1
    assert report["declared"] == report["sampleRate"]
    assert report["frameBytes"] == 2 * round(report["sampleRate"] * 0.04)
    assert report["levels"] == report["frames"]
    assert 0.2 < report["loudest"] <= 1
    assert report["states"] == ["connecting", "open", "waiting", "connecting", "open", "closed"]
    assert {"900 hertz tone", "1700 hertz tone"} <= set(report["terms"])
    assert report["duration"] == pytest.approx(0.04 * report["frames"], abs=0.2)
    assert report["duration"] > 5
