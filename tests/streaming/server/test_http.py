"""Plain HTTP beside the websocket, on the same port."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect

from streaming.errors import IndexFolderError
from streaming.protocol import Begin
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.server.http_side import Message, Receive, Send
from streaming.sessions.catalogue import Catalogue
from tests.streaming.server.serving import KEYS, QUERY, SPEECH, Served, greeted, http, parsed, read_to_close, serve

AUTHORISED = {"Authorization": "Bearer sesame"}


def test_health_and_readiness_are_two_questions(served: Served) -> None:
    """/health says that the process lives; /ready that clients may come in, which they are told with 4503 otherwise."""

    async def scenario(server: HintServer) -> None:
        status, headers, body = await http("GET", f"{server.http_url}/health")
        assert (status, parsed(body)) == (200, {"status": "ok", "sessions": 0, "max_sessions": 8})
        assert headers["content-type"] == "application/json"
        assert (await http("GET", f"{server.http_url}/ready"))[0] == 503
        async with connect(f"{server.url}?{QUERY}") as client:
            messages, code = await read_to_close(client)
        assert (messages[0].TYPE, code) == ("Error", 4503)
        assert (await http("POST", f"{server.http_url}/v1/hints:file?{QUERY}", SPEECH))[0] == 503
        server.is_ready = True
        assert (await http("GET", f"{server.http_url}/ready"))[0] == 200
        async with connect(f"{server.url}?{QUERY}") as client:
            assert isinstance(await greeted(client), Begin)

    serve(served, scenario, is_ready=False)


def test_glossaries_are_listed_and_looked_for_again(served: Served) -> None:
    """What may be asked for, and a reload on request."""
    asked: list[str] = []

    async def scenario(server: HintServer) -> None:
        status, _, body = await http("GET", f"{server.http_url}/v1/glossaries")
        (glossary,) = parsed(body)["glossaries"]
        assert (status, glossary["id"], glossary["terms"], glossary["target_langs"]) == (200, "tones", 4, ["de"])
        status, _, body = await http("POST", f"{server.http_url}/v1/glossaries/tones:reload")
        assert (status, parsed(body)["version"], asked) == (200, "v1", ["tones"])
        assert (await http("POST", f"{server.http_url}/v1/glossaries/other:reload"))[0] == 404

    serve(served, scenario, reload=asked.append)


def test_a_new_glossary_is_served_as_soon_as_somebody_asks(served: Served) -> None:
    """It was published since the server started: a reload finds it, before the server looks by itself."""
    catalogue = Catalogue(served)

    def publish(glossary_id: str) -> None:
        if glossary_id == "new":
            catalogue.replace(glossary_id, served["tones"])

    async def scenario(server: HintServer) -> None:
        assert (await http("POST", f"{server.http_url}/v1/glossaries/other:reload"))[0] == 404
        status, _, body = await http("POST", f"{server.http_url}/v1/glossaries/new:reload")
        assert (status, parsed(body)["id"], parsed(body)["version"]) == (200, "new", "v1")

    serve(catalogue, scenario, reload=publish)


def test_a_version_that_cannot_be_used_is_told(served: Served) -> None:
    """409 with the reason; the old version is served on."""

    def reload(_: str) -> None:
        raise IndexFolderError("the index is damaged")

    async def scenario(server: HintServer) -> None:
        status, _, body = await http("POST", f"{server.http_url}/v1/glossaries/tones:reload")
        error = parsed(body)
        assert (status, error["code"]) == (409, "unusable_glossary")
        assert error["message"] == "it cannot be used, the server's log says why; version v1 is served on"

    serve(served, scenario, reload=reload)


def test_metrics_count_what_happened(served: Served) -> None:
    """Hints, abstentions by reason, audio, refusals; in the format that Prometheus reads."""

    async def scenario(server: HintServer) -> None:
        async with connect(f"{server.url}?{QUERY}") as client:
            await client.send(SPEECH)
            await client.send(json.dumps({"type": "CloseStream"}))
            await read_to_close(client)
        async with connect(f"{server.url}?glossary=none") as client:
            await read_to_close(client)
        status, headers, body = await http("GET", f"{server.http_url}/metrics")
        lines = body.decode().splitlines()
        assert status == 200
        assert headers["content-type"].startswith("text/plain")
        assert "termcue_hints_total 3.0" in lines
        assert f"termcue_audio_seconds_total {len(SPEECH) / 32_000}" in lines
        assert any(line.startswith('termcue_abstentions_total{reason="no_speech"}') for line in lines)
        assert 'termcue_refused_total{code="unknown_glossary"} 1.0' in lines
        assert any(line.startswith("termcue_memory_bytes") and float(line.split()[1]) > 1e6 for line in lines)

    serve(served, scenario)


def test_keys_guard_everything_but_health(served: Served) -> None:
    """401 without a key; a token from /v1/tokens lets one websocket in, once."""

    async def scenario(server: HintServer) -> None:
        base = server.http_url
        for method, path in (
            ("GET", "/metrics"),
            ("GET", "/v1/glossaries"),
            ("POST", "/v1/tokens"),
            ("POST", "/v1/hints:file"),
        ):
            status, _, body = await http(method, f"{base}{path}")
            assert (status, parsed(body)["code"]) == (401, "no_key"), path
            status, _, body = await http(method, f"{base}{path}", headers={"Authorization": "Bearer guess"})
            assert (status, parsed(body)["code"]) == (401, "wrong_key"), path
        assert (await http("GET", f"{base}/health"))[0] == 200
        status, _, body = await http("POST", f"{base}/v1/tokens", headers=AUTHORISED)
        token = parsed(body)["token"]
        assert status == 200
        async with connect(f"{server.url}?{QUERY}&token={token}") as client:
            await greeted(client)
        async with connect(f"{server.url}?{QUERY}&token={token}") as client:
            messages, code = await read_to_close(client)
        assert (messages[0].TYPE, code) == ("Error", 4401)

    serve(served, scenario, keys=KEYS)


def test_only_allowed_pages_may_read_the_answers(served: Served) -> None:
    """The header that lets a page's script read is there for the allowed origin alone."""

    async def scenario(server: HintServer) -> None:
        for origin, allowed in (("https://booth.example", True), ("https://evil.example", False)):
            _, headers, _ = await http("GET", f"{server.http_url}/v1/glossaries", headers={"Origin": origin})
            assert (headers.get("access-control-allow-origin") == origin) is allowed

    serve(served, scenario, ServerConfig(allowed_origins=("https://booth.example",)))


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/hints/..", "/etc/passwd", "/v1/glossaries/../../etc:reload"])
def test_other_paths_are_named_as_missing(served: Served, path: str) -> None:
    """No path reaches the file system."""

    async def scenario(server: HintServer) -> None:
        status, _, body = await http("GET", f"{server.http_url}{path}")
        assert (status, parsed(body)["code"]) == (404, "not_found")

    serve(served, scenario)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/hints:file", {"POST"}),
        ("PUT", "/v1/hints:file", {"POST"}),
        ("GET", "/v1/tokens", {"POST"}),
        ("GET", "/v1/glossaries/tones:reload", {"POST"}),
        ("POST", "/v1/glossaries", {"GET", "HEAD"}),
        ("DELETE", "/health", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_told_which_there_are(served: Served, method: str, path: str, allowed: set[str]) -> None:
    """405 with `Allow`: the path is right, and what is wrong is told."""

    async def scenario(server: HintServer) -> None:
        status, headers, body = await http(method, f"{server.http_url}{path}")
        assert (status, parsed(body)["code"]) == (405, "wrong_method")
        assert set(headers["allow"].split(", ")) == allowed
        assert path in parsed(body)["message"]

    serve(served, scenario)


def test_what_answers_for_all_other_paths_leaves_ours_alone(served: Served) -> None:
    """An application at "" is asked for what nothing else is at, and neither for a wrong method nor for a missing slash."""
    asked: list[object] = []

    async def rest(scope: dict[str, object], receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"rest"})

    async def scenario(server: HintServer) -> None:
        for method, path in (("PUT", "/v1/glossaries"), ("GET", "/v1/hints:file"), ("DELETE", "/health")):
            status, headers, body = await http(method, f"{server.http_url}{path}")
            assert (status, parsed(body)["code"]) == (405, "wrong_method"), path
            assert headers["allow"], path
        assert (await http("GET", f"{server.http_url}/health"))[0] == 200
        assert (await http("GET", f"{server.http_url}/health/"))[0] == 200
        for path in ("/", "/v2"):
            assert (await http("POST", f"{server.http_url}{path}"))[::2] == (200, b"rest")
        assert asked == ["/", "/v2"]

    serve(served, scenario, mounts={"": rest})


def test_the_hints_want_a_websocket(served: Served) -> None:
    """426, as RFC 9110 has it."""

    async def scenario(server: HintServer) -> None:
        status, headers, _ = await http("GET", f"{server.http_url}/v1/hints")
        assert (status, headers["upgrade"]) == (426, "websocket")

    serve(served, scenario)


def test_a_head_that_never_ends_is_cut(served: Served) -> None:
    """Neither a flood of headers nor a client that says nothing holds a place; others are served meanwhile."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        silent = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(300)]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /health HTTP/1.1\r\n" + b"X-A: b\r\n" * 4000)
        assert b"431" in await reader.read(100)
        writer.close()
        assert (await http("GET", f"{server.http_url}/health"))[0] == 200
        for one in silent:
            one.close()

    serve(served, scenario, ServerConfig(connections_per_address=1000))


def test_one_address_may_not_take_every_place(served: Served) -> None:
    """Its connections beyond the limit are told so, over plain HTTP, and closed; when some end, it is served again."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        silent = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(20)]
        assert (await http("GET", f"{server.http_url}/health"))[0] == 429
        for one in silent:
            one.close()
            await one.wait_closed()
        assert (await http("GET", f"{server.http_url}/health"))[0] == 200

    serve(served, scenario, ServerConfig(connections_per_address=20))


def test_an_answer_that_nobody_takes_is_cut(served: Served) -> None:
    """A client that asks for much and reads nothing holds neither memory nor a place."""
    finished = asyncio.Event()

    async def flood(scope: dict[str, object], receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
        finished.set()

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /flood/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await finished.wait()
        writer.transport.abort()

    config = ServerConfig(connection=ConnectionConfig(send_timeout_s=0.2))
    serve(served, scenario, config, mounts={"/flood": flood})


@pytest.mark.parametrize("path", ["/x", "/v1/tokens", f"/v1/hints:file?{QUERY}", "/slow"])
@pytest.mark.parametrize("is_at_once", [True, False])
def test_a_body_that_is_no_http_is_no_news(
    served: Served, caplog: pytest.LogCaptureFixture, path: str, is_at_once: bool
) -> None:
    """Whoever sends one, without any key, must not fill the log, whether the answer has begun or not."""

    async def slow(_: Message, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _count in range(4):
            await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for part in [head + b"zz\r\n"] if is_at_once else [head, b"zz\r\n"]:
            writer.write(part)
            await asyncio.sleep(0.1)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 400 " if is_at_once else b"HTTP/1.1 ")
        await asyncio.sleep(0.2)
        writer.close()

    serve(served, scenario, mounts={"/slow": slow})
    assert caplog.records == []


def test_a_head_that_is_too_large_is_refused_in_one_piece_too(served: Served) -> None:
    """60 kB of headers that come at once."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /health HTTP/1.1\r\nX-A: " + b"b" * 60_000 + b"\r\n\r\n")
        assert b"431" in await reader.read(100)
        writer.close()

    serve(served, scenario)


def test_a_token_outlives_a_refusal_that_asks_to_come_again(served: Served) -> None:
    """Full: 1013, and the same address is good when there is room."""

    async def scenario(server: HintServer) -> None:
        _, _, body = await http("POST", f"{server.http_url}/v1/tokens", headers=AUTHORISED)
        address = f"{server.url}?{QUERY}&token={parsed(body)['token']}"
        async with connect(f"{server.url}?{QUERY}", additional_headers=AUTHORISED) as client:
            await greeted(client)
            async with connect(address) as refused:
                assert (await read_to_close(refused))[1] == 1013
            await client.send('{"type":"CloseStream"}')
            await read_to_close(client)
        async with connect(address) as client:
            await greeted(client)

    serve(served, scenario, ServerConfig(max_sessions=1), KEYS)
