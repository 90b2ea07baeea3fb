"""`termcue demo`: who reaches the page, with which key, over which certificate."""

import asyncio
import hashlib
import json
import os
import re
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from app.commands.demo import demo
from app.demonstrating import Demonstration, serve_with_page
from app.desk import Desk
from app.loaded_model import load_folder
from app.page_access import PageKeys, new_key, own_address, page_address
from app.places import Places
from app.running_server import asks_for_key, knows_page, obstacles, server_address
from app.self_signed import self_signed_tls
from demo.desk import Upload
from demo.site import PageSettings
from streaming.errors import GlossaryError, SettingError
from streaming.model_folder import BUNDLED
from streaming.server import HintServer, ServerConfig
from streaming.server.api_keys import ApiKeys
from streaming.server.hangup import Reread
from streaming.testing import tone_glossary

HINTS = "ws://127.0.0.1:8765/v1/hints"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tls-cert", "cert.pem"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "c.pem", "--tls-key", "k.pem", "--ssl-self-signed"], "leave --tls-cert and --tls-key out"),
        (["--server", "http://127.0.0.1:1", "--glossary", "talks"], "leave --glossary out"),
        (["--server", "talks"], "is no address"),
        (["--server", "http://127.0.0.1:8765/other"], "is no address"),
        (["--server", "http://a;script-src *"], "is no address"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], said: str) -> None:
    """Wrong usage says what to leave out, before anything is loaded."""
    done = CliRunner().invoke(demo, arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_new_key_lets_in_who_has_it() -> None:
    """Each run has its own."""
    key, keys = new_key()
    assert keys.accepts(key)
    assert not keys.accepts(new_key()[0])


def test_a_new_key_is_typed_on_a_phone() -> None:
    """Four groups of four letters and digits that cannot be mistaken, and no two keys alike."""
    made = {new_key()[0] for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", key) for key in made)


def test_the_key_stands_where_browsers_keep_it_to_themselves() -> None:
    """A fragment is never sent to a server, and so to no log."""
    assert page_address(HINTS, "127.0.0.1") == "http://127.0.0.1:8765/demo/"
    assert page_address(HINTS.replace("ws", "wss"), "127.0.0.1", "k").endswith("https://127.0.0.1:8765/demo/#key=k")
    everywhere = page_address("wss://0.0.0.0:8765/v1/hints", "0.0.0.0", "k")
    assert everywhere == f"https://{own_address('0.0.0.0')}:8765/demo/#key=k"
    assert own_address("192.0.2.7") == "192.0.2.7"


def test_a_server_that_is_not_there_is_named() -> None:
    """With the command that starts one."""
    with pytest.raises(SettingError, match=r"http://127\.0\.0\.1:9 .*termcue serve"):
        asks_for_key("http://127.0.0.1:9")


@pytest.mark.parametrize("keys", [None, new_key()[1]])
def test_a_running_server_is_asked_whether_it_wants_a_key(keys: ApiKeys | None) -> None:
    """So that the page shows the field for it."""

    async def run() -> bool:
        async with HintServer(ServerConfig(port=0), {"tones": tone_glossary()}, keys) as server:
            return await asyncio.to_thread(asks_for_key, server.http_url)

    assert asyncio.run(run()) == (keys is not None)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("ws://127.0.0.1:8765/v1/hints", "http://127.0.0.1:8765"),
        ("wss://ws.example.com/", "https://ws.example.com"),
        ("http://news.example:80", "http://news.example:80"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_a_server_is_known_by_any_of_its_addresses(given: str, address: str) -> None:
    """Also by the one that `termcue serve` prints, and with "ws" inside a name."""
    assert server_address(given) == address


def test_a_server_that_does_not_know_the_page_is_noticed() -> None:
    """Before anybody opens a page that could show nothing."""
    config = ServerConfig(port=0, allowed_origins=("http://127.0.0.1:8766",))

    async def run() -> list[bool]:
        async with HintServer(config, {"tones": tone_glossary()}, None) as server:
            pages = ("http://127.0.0.1:8766", "http://localhost:8766")
            return [await asyncio.to_thread(knows_page, server.http_url, page) for page in pages]

    assert asyncio.run(run()) == [True, False]


@pytest.mark.parametrize(
    ("server", "host", "has_tls", "said"),
    [
        ("http://127.0.0.1:8765", "127.0.0.1", False, []),
        ("http://127.0.0.1:8765", "127.0.0.1", True, []),
        ("https://10.0.0.5:8765", "0.0.0.0", True, []),
        ("http://127.0.0.1:8765", "0.0.0.0", False, ["works on this machine only"]),
        ("http://10.0.0.5:8765", "127.0.0.1", True, ["a certificate too"]),
    ],
)
def test_what_keeps_browsers_from_a_server_is_told(server: str, host: str, has_tls: bool, said: list[str]) -> None:
    """What the page could only call a server that does not answer."""
    found = obstacles(server, host, has_tls)
    assert [any(part in each for each in found) for part in said] == [True] * len(found)


def test_a_page_for_others_of_a_server_with_keys_needs_them_too() -> None:
    """A key made for the page alone would open only half of it."""
    _, keys = new_key()

    async def run() -> tuple[int, str]:
        async with HintServer(ServerConfig(port=0), {"tones": tone_glossary()}, keys) as server:
            arguments = ["--server", server.http_url, "--host", "0.0.0.0"]
            done = await asyncio.to_thread(CliRunner().invoke, demo, arguments)
            return done.exit_code, done.output

    code, output = asyncio.run(run())
    assert code == 2
    assert "--api-keys-file" in output


def test_a_hangup_reads_keys_and_glossaries_of_the_page_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SIGHUP, as of `termcue serve`: for the desk of the page as for the server, and what was doubted is taken over."""
    keys, terms = tmp_path / "keys", tmp_path / "talk.csv"
    keys.write_text(hashlib.sha256(b"anna").hexdigest())
    terms.write_text("term\n" + "".join(f"{term}\n" for term in ("leisure", *(f"number {n}" for n in range(11)))))
    answered: list[object] = []

    def scenario(page: str) -> None:
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
        base = page.partition("/demo")[0]

        def states() -> list[int]:
            asked = (f"{base}/v1/glossaries", f"{base}/demo/desk/glossaries/talk")
            return [_status(url, name) for url in asked for name in ("anna", "ben")]

        answered.append(states())
        terms.write_text("term\nleisure\n")
        _until(lambda: "may be saved halfway" in caplog.text)
        keys.write_text(hashlib.sha256(b"ben").hexdigest())
        os.kill(os.getpid(), signal.SIGHUP)
        _until(lambda: "is served now" in caplog.text)
        answered.append(states())

    caplog.set_level("INFO")
    beside = threading.Thread()

    def ready(page: str) -> None:
        nonlocal beside
        beside = threading.Thread(target=_then_stop, args=(scenario, page))
        beside.start()

    demonstration = Demonstration(
        config=ServerConfig(port=0),
        keys=PageKeys.of(keys, "127.0.0.1"),
        settings=PageSettings(),
        folder=load_folder(None),
        provider="cpu",
        places=Places(tmp_path / "data", tmp_path / "cache"),
        ready=ready,
    )
    serve_with_page(demonstration, [str(terms)])
    beside.join(10)
    assert answered == [[200, 401, 200, 401], [401, 200, 401, 200]]


def test_a_hangup_while_the_page_is_set_up_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `termcue serve`: it ends nothing, and keys and glossaries are read again once the server runs."""
    terms = tmp_path / "talk.csv"
    terms.write_text("term\nleisure\n")
    asked: list[bool] = []

    def run_server(*served: object, reread: Reread, ends_process: bool, **wired: object) -> None:
        asked.append(reread.was_asked())
        signal.raise_signal(signal.SIGHUP)
        asked.extend([reread.was_asked(), ends_process])

    monkeypatch.setattr("app.demonstrating.run_server", run_server)
    done = CliRunner().invoke(demo, ["--glossary", str(terms), "--no-browser", "--data-dir", str(tmp_path / "data")])
    assert (done.exit_code, asked) == (0, [False, True, True]), done.output


def _then_stop(scenario: Callable[[str], None], page: str) -> None:
    try:
        scenario(page)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _status(url: str, key: str) -> int:
    try:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {key}"}), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def _until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if is_so():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen in 20 s")


def test_without_gradio_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is an extra; whoever lacks it reads how to get it."""
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(demo, [])
    assert done.exit_code == 1
    assert "pip install '.[demo]'" in done.output


def test_a_self_signed_certificate_serves() -> None:
    """A context with a certificate, and no key left on the disk."""
    server = self_signed_tls(("localhost", "127.0.0.1"))
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    async def run() -> bytes:
        async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            heard = await reader.read()
            writer.close()
            return heard

    assert asyncio.run(run()) == b"hello"
    assert list(Path(gettempdir()).glob("termcue-tls-*")) == []


def test_without_openssl_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is served without the encryption that was asked for."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingError, match="install it, or give --tls-cert"):
        self_signed_tls(("localhost",))


def test_the_desk_publishes_and_reads_back(tmp_path: Path) -> None:
    """What is published is told to who serves it, and stands in the table with all its columns."""
    told: list[str] = []
    places = Places(tmp_path / "data", tmp_path / "cache")
    desk = Desk(lambda _: None, load_folder(None), places, published=told.append)
    done = desk.publish(Upload("talk", "talk.csv", b"term,de,note\nleisure,Musse,x\n,leer,\n"))
    assert (done.is_new, done.previous, told) == (True, "", ["talk"])
    assert done.report["entries"] == 1
    again = desk.publish(Upload("talk", "talk.csv", b"term,de,note\nleisure,Freizeit,x\n"))
    assert again.counts == {"added": 0, "removed": 0, "changed": 1}
    assert again.changes["changed"] == ["leisure: translation_de Musse → Freizeit"]
    opened = desk.open("talk")
    row = dict(zip(*opened.table, strict=True))
    assert (row["term"], row["translation:de"], row["note"]) == ("leisure", "Freizeit", "x")
    thresholds = [stop.threshold for stop in opened.dial]
    assert thresholds == sorted(thresholds, reverse=True)
    # The bundled model's own account stands behind what the page promises.
    report = json.loads((BUNDLED / "spec.json").read_text())["calibration_report"]["streams"]
    at_12 = [each["at_false_hints_asked_for"]["12"]["recall"] for each in report if each["terms"] in (300, 334)]
    (stop,) = (stop for stop in opened.dial if stop.per_hour == 12)
    assert (stop.recall, stop.terms) == ((min(at_12), max(at_12)), (300, 334))
    assert [stop.measured_at for stop in opened.dial if stop.per_hour in (1, 12, 30, 600)] == [12, 12, 30, 300]


def test_a_model_that_was_never_measured_promises_no_recall(tmp_path: Path) -> None:
    """The bundled model's figures say nothing of another one."""
    folder = replace(load_folder(None), measured=())
    desk = Desk(lambda _: None, folder, Places(tmp_path / "data", tmp_path / "cache"))
    desk.publish(Upload("talk", "talk.csv", b"term,de\nleisure,Musse\n"))
    assert {stop.recall for stop in desk.open("talk").dial} == {None}


def test_a_glossary_that_is_published_elsewhere_is_said_so(tmp_path: Path) -> None:
    """The page then shows the server's translations alone."""
    desk = Desk(lambda _: None, load_folder(None), Places(tmp_path, tmp_path))
    with pytest.raises(GlossaryError, match="published elsewhere"):
        desk.open("talks")
