"""Plain HTTP beside the websocket, on the same port."""

import asyncio
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect

from streaming.protocol import Begin
from streaming.server import HintServer, ServerConfig
from tests.streaming.server.serving import KEYS, QUERY, SPEECH, Served, greeted, http, parsed, read_to_close, serve

AUTHORISED = {"Authorization": "Bearer sesame"}


def _wav(rate: int = 16_000) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.frombuffer(SPEECH, np.int16), rate, format="WAV", subtype="PCM_16")
    return written.getvalue()


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
        assert (await http("POST", f"{server.http_url}/v1/hints:file?{QUERY}", _wav()))[0] == 503
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


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_recording_is_answered_with_the_messages_of_a_stream(served: Served, rate: int) -> None:
    """The same hints as over the websocket, one JSON object a line; the file says its own rate."""

    async def scenario(server: HintServer) -> None:
        body = _wav(rate)
        status, headers, answer = await http("POST", f"{server.http_url}/v1/hints:file?{QUERY}", body)
        messages = [json.loads(line) for line in answer.splitlines()]
        assert (status, headers["content-type"]) == (200, "application/x-ndjson")
        assert messages[0]["type"] == "Begin"
        assert messages[0]["audio"]["sample_rate"] == rate
        assert "resume_token" not in messages[0]
        assert messages[-1]["type"] == "Metadata"
        if rate == 16_000:
            assert [m["term"] for m in messages if m["type"] == "TermHint"] == [
                "900 hertz tone",
                "500 hertz tone",
                "1300 hertz tone",
            ]
        assert (await _health(server))["sessions"] == 0

    serve(served, scenario)


async def _health(server: HintServer) -> dict[str, object]:
    content: dict[str, object] = parsed((await http("GET", f"{server.http_url}/health"))[2])
    return content


def test_raw_samples_are_a_recording_too(served: Served) -> None:
    """Where the address says how they are to be read."""

    async def scenario(server: HintServer) -> None:
        query = f"{QUERY}&encoding=linear16&sample_rate=16000"
        _, _, answer = await http("POST", f"{server.http_url}/v1/hints:file?{query}", SPEECH)
        assert answer.count(b'"TermHint"') == 3

    serve(served, scenario)


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        (QUERY, b"no audio at all", 400, "unusable_audio"),
        ("glossary=none", _wav(), 404, "unknown_glossary"),
        ("glossary=tones&colour=red", _wav(), 400, "unknown_key"),
        (f"{QUERY}&resume=r_1", _wav(), 400, "unknown_key"),
        (QUERY, bytes(300_000), 413, "file_too_big"),
    ],
)
def test_a_recording_that_cannot_be_taken_is_refused(
    served: Served, query: str, body: bytes, status: int, code: str
) -> None:
    """In the form of the protocol's errors, without a word of where the server keeps its files, and its place is free."""

    async def scenario(server: HintServer) -> None:
        found, _, answer = await http("POST", f"{server.http_url}/v1/hints:file?{query}", body)
        error = parsed(answer)
        assert (found, error["type"], error["code"]) == (status, "Error", code)
        assert "/tmp" not in error["message"]
        assert "termcue-" not in error["message"]
        assert (await _health(server))["sessions"] == 0

    serve(served, scenario, replace(ServerConfig(), max_file_bytes=200_000))


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
