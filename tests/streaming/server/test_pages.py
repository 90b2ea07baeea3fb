"""Which pages' scripts may ask, over plain HTTP and over a websocket."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from streaming.protocol import Begin
from streaming.server import HintServer, ServerConfig
from streaming.server.access import Access
from tests.streaming.server.serving import KEYS, QUERY, Served, greeted, http, parsed, serve


@pytest.mark.parametrize(
    ("origin", "host", "with_keys", "is_known"),
    [
        (None, "127.0.0.1:8765", False, True),
        (None, None, False, True),
        ("http://127.0.0.1:8765", "127.0.0.1:8765", False, True),
        ("http://localhost:8765", "localhost:8765", False, True),
        ("http://localhost:3000", "localhost:8765", False, False),
        ("https://booth.example", "127.0.0.1:8765", False, True),
        ("https://evil.example", "127.0.0.1:8765", False, False),
        ("null", "127.0.0.1:8765", False, False),
        # The name of a page of somebody else, made to point to this machine.
        ("http://evil.example:8765", "evil.example:8765", False, False),
        (None, "evil.example:8765", False, False),
        ("http://hall.example:8765", "hall.example:8765", True, True),
        (None, "hall.example:8765", True, True),
        ("https://evil.example", "hall.example:8765", True, False),
        # No addresses at all.
        (None, "[::", False, False),
        ("http://[::", "127.0.0.1:8765", False, False),
        ("", "127.0.0.1:8765", False, False),
    ],
)
def test_a_page_is_known_by_its_origin(origin: str | None, host: str | None, with_keys: bool, is_known: bool) -> None:
    """Our own pages, those that were named, and clients that are no pages."""
    access = Access(KEYS if with_keys else None, ["https://booth.example"])
    assert access.knows_page(origin, host) is is_known


def test_foreign_pages_get_no_answer(served: Served) -> None:
    """Neither a list nor a reload, though a browser would send the request; the server's own pages get both."""
    asked: list[str] = []

    async def scenario(server: HintServer) -> None:
        for method, path in (("GET", "/v1/glossaries"), ("POST", "/v1/glossaries/tones:reload")):
            url = server.http_url + path
            status, _, body = await http(method, url, headers={"Origin": "https://evil.example"})
            assert (status, parsed(body)["code"]) == (403, "foreign_origin")
            assert (await http(method, url, headers={"Host": "evil.example"}))[0] == 403
            assert (await http(method, url, headers={"Origin": server.http_url}))[0] == 200
        assert asked == ["tones"]

    serve(served, scenario, reload=asked.append)


def test_the_servers_own_page_may_stream(served: Served) -> None:
    """Without being named; the same page under another port may not."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}", origin=Origin(server.http_url)) as client:
            assert isinstance(await greeted(client), Begin)
        with pytest.raises(InvalidStatus):
            await connect(f"{server.url}?{QUERY}", origin=Origin("http://127.0.0.1:1"))

    serve(served, scenario)


def test_other_applications_may_live_on_the_same_port(served: Served) -> None:
    """What is mounted answers beside ours, which come first."""

    async def page(scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<p>demo</p>"})

    async def scenario(server: HintServer) -> None:
        assert (await http("GET", f"{server.http_url}/demo/"))[2] == b"<p>demo</p>"
        assert parsed((await http("GET", f"{server.http_url}/health"))[2])["status"] == "ok"

    serve(served, scenario, ServerConfig(), mounts={"/demo": page})
