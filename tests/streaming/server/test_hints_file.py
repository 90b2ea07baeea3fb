"""Whole recordings over HTTP."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect

from streaming.server import HintServer, ServerConfig
from streaming.sessions.recording import SessionRecorder
from tests.streaming.server.serving import (
    QUERY,
    SPEECH,
    Served,
    greeted,
    http,
    limited,
    parsed,
    serve,
)


def _wav(rate: int = 16_000) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.frombuffer(SPEECH, np.int16), rate, format="WAV", subtype="PCM_16")
    return written.getvalue()


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
        ("glossary=tones&colour=red", _wav(), 400, "unknown_parameter"),
        ("glossary=tones,tones", _wav(), 400, "repeated_glossary"),
        (f"{QUERY}&resume=r_1", _wav(), 400, "unknown_parameter"),
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


def _written(form: str) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.frombuffer(SPEECH, np.int16), 16_000, format=form)
    return written.getvalue()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no audio (0 bytes)"),
        *((_written(form), form) for form in ("WAV", "FLAC", "OGG", "MP3")),
        (b"no audio at all", "text"),
    ],
)
def test_what_is_no_raw_samples_is_not_heard_as_such(served: Served, body: bytes, said: str) -> None:
    """A header is no sound, as `termcue listen -` says too."""

    async def scenario(server: HintServer) -> None:
        raw = f"{server.http_url}/v1/hints:file?{QUERY}&encoding=linear16&sample_rate=16000"
        status, _, answer = await http("POST", raw, body)
        error = parsed(answer)
        assert (status, error["code"]) == (400, "unusable_audio")
        assert said.lower() in error["message"].lower()
        assert (await _health(server))["sessions"] == 0

    serve(served, scenario)


def test_a_form_is_told_to_be_no_recording(served: Served) -> None:
    """`curl -F file=@talk.wav` wraps the file; that its bytes are no audio would send its user to the wrong place."""

    async def scenario(server: HintServer) -> None:
        for query in (QUERY, f"{QUERY}&encoding=linear16"):
            kind = {"Content-Type": "Multipart/Form-Data; boundary=x"}
            status, _, answer = await http("POST", f"{server.http_url}/v1/hints:file?{query}", _wav(), kind)
            assert (status, parsed(answer)["code"]) == (400, "unusable_audio")
            assert "--data-binary @FILE" in parsed(answer)["message"]

    serve(served, scenario)


@pytest.mark.parametrize(
    ("query", "length", "status"),
    [(QUERY, 300_000, b" 413 "), ("glossary=none", 9, b" 404 "), (f"{QUERY}&profile=none", 9, b" 400 ")],
)
def test_what_the_headers_tell_is_answered_before_the_body(
    served: Served, query: str, length: int, status: bytes
) -> None:
    """Nothing of the recording has to be sent for it."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/hints:file?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        writer.write(head.encode())
        assert status in await asyncio.wait_for(reader.readline(), 20)
        writer.close()

    serve(served, scenario, replace(ServerConfig(port=0), max_file_bytes=200_000))


def test_a_client_that_leaves_gives_its_place_back(served: Served) -> None:
    """While it sends its recording, and while it is answered."""

    async def left_after(server: HintServer, sent: bytes, read: int) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        await reader.readexactly(read)
        while (await _health(server))["sessions"] == 0:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while (await _health(server))["sessions"] != 0:
            await asyncio.sleep(0.01)

    async def scenario(server: HintServer) -> None:
        raw = f"POST /v1/hints:file?{QUERY}&encoding=linear16 HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
        await left_after(server, raw + b"Content-Length: 100000\r\n\r\n" + bytes(50_000), 0)
        body = bytes(20_000_000)
        await left_after(server, raw + b"Content-Length: %d\r\n\r\n" % len(body) + body, 100)

    serve(served, scenario)


def test_a_recording_that_does_not_come_is_given_up(served: Served) -> None:
    """A client that holds its place and sends nothing gets 408."""

    async def scenario(server: HintServer) -> None:
        host, port = server.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST /v1/hints:file?{QUERY} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n".encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        assert (await _health(server))["sessions"] == 0

    serve(served, scenario, limited(idle_timeout_s=0.2))


def test_a_recording_counts_like_a_stream(served: Served, tmp_path: Path) -> None:
    """In the metrics, against the places there are, and in what is recorded; its speed is its own affair."""

    def record(session_id: str, query: str, version: str) -> SessionRecorder:
        return SessionRecorder.open(tmp_path, session_id, query, "model", version)

    async def scenario(server: HintServer) -> None:
        url = f"{server.http_url}/v1/hints:file?{QUERY}"
        assert (await http("POST", url, _wav()))[0] == 200
        _, _, metrics = await http("GET", f"{server.http_url}/metrics")
        assert b"termcue_hints_total 3.0" in metrics
        assert b"termcue_sessions_opened_total 1.0" in metrics
        async with connect(f"{server.url}?{QUERY}") as client:
            await greeted(client)
            status, headers, body = await http("POST", url, _wav())
            assert (status, parsed(body)["code"], headers["retry-after"]) == (503, "overloaded", "5")

    config = limited(max_realtime_factor=1.0, max_burst_s=0.1)
    serve(served, scenario, replace(config, max_sessions=1), record=record)
    recorded = [folder for folder in tmp_path.iterdir() if "-f_" in folder.name]
    assert len(recorded) == 1
    assert (recorded[0] / "audio.wav").read_bytes()[44:] == SPEECH
