"""One certificate for the stream and for plain HTTP, on one port."""

import asyncio
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from app.tls import server_tls
from streaming.protocol import Begin
from streaming.server import HintServer, ServerConfig
from tests.streaming.server.serving import QUERY, Served, greeted, parsed, serve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this address, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_stream_and_http_are_both_encrypted(served: Served, certificate: tuple[Path, Path]) -> None:
    """wss:// and https:// on one port; who speaks plainly there gets no answer."""
    trusting = ssl.create_default_context(cafile=str(certificate[0]))

    def health(url: str) -> object:
        with urllib.request.urlopen(url, timeout=10, context=trusting) as answer:
            return parsed(answer.read())["status"]

    async def scenario(server: HintServer) -> None:
        assert server.url.startswith("wss://")
        async with connect(f"{server.url}?{QUERY}", ssl=trusting) as client:
            assert isinstance(await greeted(client), Begin)
        assert await asyncio.to_thread(health, f"{server.http_url}/health") == "ok"
        host, port = server.http_url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /health HTTP/1.1\r\n\r\n")
        assert not (await reader.read()).startswith(b"HTTP")
        writer.close()

    serve(served, scenario, ServerConfig(tls=server_tls(*certificate)))


def test_plain_port_closes_on_tls_at_once(served: Served) -> None:
    """A client that mistakes the scheme need not wait to learn it."""

    async def scenario(server: HintServer) -> None:
        with pytest.raises((ssl.SSLError, OSError)):
            async with asyncio.timeout(3):
                await connect(server.url.replace("ws://", "wss://"))

    serve(served, scenario)
