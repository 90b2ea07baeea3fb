"""Who is let in."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from streaming.errors import SettingError
from streaming.protocol import (
    Begin,
)
from streaming.server import HintServer, ServerConfig
from tests.streaming.server.serving import KEYS, Served, read, refused_at, serve_url


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
