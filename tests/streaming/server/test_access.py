"""Who is let in."""

import asyncio
import logging

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from streaming.errors import SettingError
from streaming.protocol import Begin
from streaming.server import HintServer, ServerConfig
from tests.streaming.server.serving import KEYS, Served, http, read, refused_at, serve, serve_url


@pytest.mark.parametrize(
    ("headers", "subprotocols", "code"),
    [
        ({}, [], "no_key"),
        ({"Authorization": "Bearer open"}, [], "wrong_key"),
        ({"Authorization": "Basic sesame"}, [], "no_key"),
        ({}, ["token", "open"], "wrong_key"),
    ],
)
def test_a_client_without_a_known_key_is_refused(
    served: Served, headers: dict[str, str], subprotocols: list[str], code: str
) -> None:
    """No key and a wrong key end with an error and 4401, before the address is looked at."""

    async def scenario(url: str) -> None:
        offers = [Subprotocol(offer) for offer in subprotocols]
        options = {"subprotocols": offers} if offers else {}
        error, closed = await refused_at(f"{url}?nonsense", additional_headers=headers, **options)
        assert (error.code, closed) == (code, 4401)

    serve_url(served, scenario, keys=KEYS)


def test_a_known_key_is_let_in_by_header_and_by_subprotocol(served: Served) -> None:
    """Bearer, Token and the browsers' subprotocol all work; the subprotocol is confirmed."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        for scheme in ("Bearer", "Token"):
            async with connect(address, additional_headers={"Authorization": f"{scheme} sesame"}) as client:
                assert isinstance(await read(client), Begin)
        async with connect(address, subprotocols=[Subprotocol("token"), Subprotocol("sesame")]) as client:
            assert client.subprotocol == "token"
            assert isinstance(await read(client), Begin)

    serve_url(served, scenario, keys=KEYS)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_keys_other_machines_cannot_be_served(served: Served, host: str) -> None:
    """A host that is not the loopback needs keys; the refusal names it and both cures."""
    with pytest.raises(SettingError, match=r"--api-keys-file.*127\.0\.0\.1"):
        HintServer(ServerConfig(host=host), served, None)


def test_with_keys_any_host_may_be_served(served: Served) -> None:
    """Keys open the other hosts, and the loopback needs none."""
    HintServer(ServerConfig(host="0.0.0.0"), served, KEYS)
    for host in ("127.0.0.1", "::1", "localhost"):
        HintServer(ServerConfig(host=host), served, None)


def test_scripts_of_foreign_pages_cannot_connect(served: Served) -> None:
    """A browser's page is let in only when its origin is on the list."""

    async def scenario(url: str) -> None:
        address = f"{url}?glossary=tones"
        async with connect(address, origin=Origin("http://localhost:7860")) as client:
            assert isinstance(await read(client), Begin)
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, origin=Origin("https://evil.example")):
                pass
        assert refused.value.response.status_code == 403

    serve_url(served, scenario, ServerConfig(allowed_origins=("http://localhost:7860",)))


def test_no_key_reaches_the_log(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even of refused clients, broken handshakes and requests, with all that can be logged."""

    async def scenario(server: HintServer) -> None:
        address = f"{server.url}?glossary=tones"
        async with connect(address, additional_headers={"Authorization": "Bearer sesame"}) as client:
            assert isinstance(await read(client), Begin)
        await refused_at(f"{address}&token=t_secret", additional_headers={"Authorization": "Bearer s3cret"})
        assert (await http("GET", f"{server.http_url}/metrics", headers={"Authorization": "Bearer s3cret"}))[0] == 401
        host, port = server.http_url.removeprefix("http://").split(":")
        for head in (b"GET /?token=t_secret HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"GET t_secret\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            await reader.read()
            writer.close()

    with caplog.at_level(logging.DEBUG):
        # The client of this test runs in the same process and tells what it sends.
        monkeypatch.setattr(logging.getLogger("websockets.client"), "disabled", True)
        serve(served, scenario, keys=KEYS)
    assert "connection over" in caplog.text
    for secret in ("sesame", "s3cret", "t_secret", "127.0.0.1"):
        assert secret not in caplog.text
