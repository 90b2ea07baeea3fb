"""The page over plain HTTP: what is open, what needs a key, and what of Gradio is shut."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from app.samples import recordings
from demo.desk import DialStop, OpenedGlossary, PublishedUpload, Recording, Upload
from demo.site import MAX_UPLOAD_BYTES, MOUNT_PATH, PageSettings, demo_site, front_door
from streaming.errors import GlossaryError
from streaming.server import HintServer, ServerConfig
from streaming.server.api_keys import ApiKeys, presented_key
from streaming.testing import tone_glossary
from tests.streaming.server.serving import http

KEYS = ApiKeys([hashlib.sha256(b"sesame").hexdigest()])
KEY = {"Authorization": "Bearer sesame"}
FIRST = recordings()[0].path


class FakeDesk:
    """Has one glossary and remembers what was uploaded."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []

    def open(self, glossary_id: str) -> OpenedGlossary:
        """Only "tones"."""
        if glossary_id != "tones":
            raise GlossaryError(f"{glossary_id} is not here; take tones")
        return OpenedGlossary(
            "tones",
            "v1",
            [["id", "term"], ["t:1", "500 hertz tone"]],
            [DialStop(6, 0.9, (0.55, 0.97), (300, 334), 12), DialStop(60, 0.5)],
        )

    def publish(self, upload: Upload) -> PublishedUpload:
        """Everything is welcome."""
        self.uploads.append(upload)
        return PublishedUpload({"version": "v2"}, is_new=True, previous="v1", counts={"added": 1})


def visit(
    scenario: Callable[[str], Awaitable[None]],
    desk: FakeDesk | None = None,
    keys: ApiKeys | None = None,
    settings: PageSettings | None = None,
) -> None:
    """Run `scenario` with the address of the page on a server of the loopback."""

    def allows(authorizations: Sequence[str]) -> bool:
        key = presented_key(authorizations, ())
        return keys is None or (key is not None and keys.accepts(key))

    site = demo_site(desk or FakeDesk(), [Recording("first", "The first", FIRST)], settings or PageSettings(), allows)

    async def run() -> None:
        mounts = {MOUNT_PATH: site, "": front_door()}
        async with HintServer(ServerConfig(port=0), {"tones": tone_glossary()}, keys, mounts=mounts) as server:
            await asyncio.wait_for(scenario(server.http_url + MOUNT_PATH), 30)

    asyncio.run(run())


def test_the_page_keeps_the_browser_on_this_server() -> None:
    """The policy names no other host, nor does the document ask one for scripts, fonts or pictures."""

    async def scenario(page: str) -> None:
        status, headers, body = await http("GET", page + "/")
        assert status == 200
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert headers["permissions-policy"].startswith("microphone=(self)")
        for own in ("page/page.css", "page/page.js", 'id=\\"termcue\\"'):
            assert own in body.decode()

    visit(scenario)


def test_the_page_of_another_server_may_speak_to_that_one() -> None:
    """With --server its address, and no other, is in the policy."""

    async def scenario(page: str) -> None:
        _, headers, _ = await http("GET", page + "/")
        assert "connect-src 'self' http://10.0.0.5:8765 ws://10.0.0.5:8765;" in headers["content-security-policy"]

    visit(scenario, settings=PageSettings(server="http://10.0.0.5:8765"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/monitoring"),
        ("POST", "/"),
        ("GET", "/assets/../gradio_api/info"),
    ],
)
def test_what_the_page_does_not_need_of_gradio_is_shut(method: str, path: str) -> None:
    """Uploads, files, queues and their description are not there for anybody."""

    async def scenario(page: str) -> None:
        status, _, _ = await http(method, page + path, b"" if method == "POST" else None)
        assert status in (404, 405)

    visit(scenario)


def test_the_page_changes_nothing_of_the_api_beside_it() -> None:
    """A wrong method is told as on a server without a page, and what is nowhere is missing; "/" leads to the page."""

    async def scenario(page: str) -> None:
        base = page.removesuffix(MOUNT_PATH)
        for method, path in (("PUT", "/v1/glossaries"), ("GET", "/v1/tokens"), ("POST", "/favicon.ico")):
            status, headers, body = await http(method, base + path)
            assert (status, json.loads(body)["code"]) == (405, "wrong_method"), path
            assert headers["allow"], path
        for path in ("/v2", "/v1/hints/other"):
            status, _, body = await http("GET", base + path)
            assert (status, json.loads(body)["code"]) == (404, "not_found"), path
        for path in ("/", MOUNT_PATH):
            status, _, body = await http("GET", base + path)
            assert (status, b"page/page.js" in body) == (200, True), path

    visit(scenario)


def test_glossaries_need_the_key_and_the_page_does_not() -> None:
    """Whoever lacks the key sees an empty page and reads or publishes nothing."""
    desk = FakeDesk()

    async def scenario(page: str) -> None:
        assert (await http("GET", page + "/"))[0] == 200
        assert json.loads((await http("GET", page + "/desk/setup"))[2])["needs_key"]
        for method, body in (("GET", None), ("POST", b"term\n")):
            assert (await http(method, page + "/desk/glossaries/tones", body))[0] == 401
            assert (await http(method, page + "/desk/glossaries/tones", body, {"Authorization": "Bearer x"}))[0] == 401
        assert desk.uploads == []
        status, _, body = await http("GET", page + "/desk/glossaries/tones", None, KEY)
        assert status == 200
        assert json.loads(body)["dial"] == [
            {"per_hour": 6, "threshold": 0.9, "recall": [0.55, 0.97], "terms": [300, 334], "measured_at": 12},
            {"per_hour": 60, "threshold": 0.5, "recall": None, "terms": None, "measured_at": None},
        ]

    visit(scenario, desk, KEYS, PageSettings(needs_key=True))


def test_an_upload_is_handed_over_with_a_bare_name() -> None:
    """No name of a file leads out of anywhere."""
    desk = FakeDesk()

    async def scenario(page: str) -> None:
        for name in ("..%2F..%2Fetc%2Ftalk.csv", "C:%5CUsers%5Cme%5Ctalk.csv"):
            status, _, body = await http("POST", f"{page}/desk/glossaries/mine?file={name}", b"term\nleisure\n")
            assert status == 200
            assert json.loads(body)["counts"] == {"added": 1}
        assert {upload.file_name for upload in desk.uploads} == {"talk.csv"}
        assert desk.uploads[0].content == b"term\nleisure\n"

    visit(scenario, desk)


def test_an_upload_that_is_too_big_is_refused() -> None:
    """With the command that takes it."""
    desk = FakeDesk()

    async def scenario(page: str) -> None:
        status, _, body = await http("POST", page + "/desk/glossaries/mine", bytes(MAX_UPLOAD_BYTES + 1))
        assert status == 413
        assert "termcue reindex" in json.loads(body)["message"]

    visit(scenario, desk)
    assert desk.uploads == []


def test_pages_of_others_publish_nothing() -> None:
    """A script of another origin is refused before the desk hears of it."""
    desk = FakeDesk()

    async def scenario(page: str) -> None:
        headers = {"Origin": "https://evil.example"}
        assert (await http("POST", page + "/desk/glossaries/mine", b"term\n", headers))[0] == 403

    visit(scenario, desk)
    assert desk.uploads == []


def test_recordings_and_errors() -> None:
    """Known recordings are given; what is not there says so in a sentence."""

    async def scenario(page: str) -> None:
        assert (await http("GET", page + "/desk/recordings/first"))[2] == await asyncio.to_thread(
            Path.read_bytes, FIRST
        )
        assert (await http("GET", page + "/desk/recordings/..%2Fglossary.csv"))[0] == 404
        status, _, body = await http("GET", page + "/desk/glossaries/other")
        assert (status, json.loads(body)["message"]) == (409, "other is not here; take tones")
        assert b"class HintStream" in (await http("GET", page + "/client.js"))[2]

    visit(scenario)


def test_the_server_of_the_page_leads_to_it() -> None:
    """Whoever types the bare address comes to the page, and what browsers ask each host for is there."""

    async def scenario(page: str) -> None:
        server = page.removesuffix(MOUNT_PATH)
        status, _, body = await http("GET", server + "/")
        assert status == 200
        assert 'id=\\"termcue\\"' in body.decode()
        status, headers, body = await http("GET", server + "/favicon.ico")
        assert (status, headers["content-type"]) == (200, "image/svg+xml")
        assert body.startswith(b"<svg")
        assert json.loads((await http("GET", server + "/manifest.json"))[2])["start_url"] == f"{MOUNT_PATH}/"
        assert (await http("GET", server + "/nowhere"))[0] == 404
        assert (await http("GET", server + "/v1/tokens"))[0] in (404, 405)

    visit(scenario)
