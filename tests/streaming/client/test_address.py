from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from streaming.client import hints_address
from streaming.client.address import shown_address
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://user:sesame@host:1/behind/proxy?token=sesame", "ws://host:1/behind/proxy"),
        ("ws://host?to=a@sesame", "ws://host"),
        ("wss://host/a@b#sesame", "wss://host/a@b"),
        ("ws://us@er:sesame@[::1]:1", "ws://[::1]:1"),
    ],
)
def test_address_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    """Neither user nor query, in which a password or token stands."""
    assert shown_address(url) == shown


@pytest.mark.parametrize("url", ["ws://user:ses/ame@host", "http://user:sesame@host", "ws://host:http?token=sesame"])
def test_password_of_an_address_that_is_none_is_not_repeated(url: str) -> None:
    """The message shows the right form only."""
    with pytest.raises(WireError, match="is no websocket address: give ws://HOST:PORT") as refused:
        hints_address(url, TONES)
    assert "ses" not in str(refused.value)
