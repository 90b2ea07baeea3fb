from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from streaming.client import hints_address
from streaming.errors import WireError
from tests.streaming.client.client_runs import TONES


def test_the_address_asks_for_what_the_options_say() -> None:
    """The path of the protocol is added where there is none; a query of the caller's own is kept."""
    address = urlsplit(hints_address("wss://host:1/?version=v1", replace(TONES, target_lang="zh")))
    assert (address.scheme, address.netloc, address.path) == ("wss", "host:1", "/v1/hints")
    asked = parse_qs(address.query)
    assert (asked["glossary"], asked["target_lang"], asked["version"]) == (["tones"], ["zh"], ["v1"])
    assert "profile" not in asked
    assert urlsplit(hints_address("ws://host/behind/proxy", TONES)).path == "/behind/proxy"


@pytest.mark.parametrize(
    "url", ["host:8765", "http://host/v1/hints", "ws://", "", "ws://[::1", "ws://host:http", "ws://host:99999"]
)
def test_an_address_that_is_no_websocket_is_named(url: str) -> None:
    """The message repeats the address and shows the right form."""
    with pytest.raises(WireError, match=r"ws://HOST:PORT/v1/hints"):
        hints_address(url, TONES)
