"""Who is let in: keys, short-lived tokens, and the pages whose scripts may connect."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from streaming.closing import Output, refusal
from streaming.protocol import CloseCode
from streaming.server.api_keys import ApiKeys, presented_key
from streaming.server.tokens import ShortTokens

_CURE = "send the header `Authorization: Bearer KEY`, the subprotocols `token, KEY`, or ?token= of POST /v1/tokens"


class Access:
    """The rules of one server; without keys everybody is let in who can reach it.

    Args:
        keys: digests of the keys, or None.
        allowed_origins: pages whose scripts may connect, beside those of the server itself.
    """

    def __init__(self, keys: ApiKeys | None, allowed_origins: Sequence[str] = ()) -> None:
        self._keys = keys
        self.allowed_origins = tuple(allowed_origins)
        self.tokens = ShortTokens()

    def refused(
        self, authorizations: Sequence[str], subprotocols: Sequence[str] = (), query: str = ""
    ) -> tuple[Output, ...]:
        """Why a client is not let in, with what it presents; empty for a welcome one."""
        if self._keys is None:
            return ()
        token = dict(parse_qsl(query, keep_blank_values=True)).get("token")
        if token is not None and self.tokens.knows(token):
            return ()
        key = presented_key(authorizations, subprotocols)
        if key is not None:
            if self._keys.accepts(key):
                return ()
            return refusal("wrong_key", CloseCode.AUTH, "this API key is not known here: ask the server's owner")
        if token is not None:
            message = "this token is not known, used or too old: ask POST /v1/tokens for another one"
            return refusal("wrong_token", CloseCode.AUTH, message)
        return refusal("no_key", CloseCode.AUTH, f"an API key is needed: {_CURE}")

    def admit(self, query: str) -> None:
        """A client that was not refused is let in: the token in its address is used."""
        token = dict(parse_qsl(query, keep_blank_values=True)).get("token")
        if token is not None:
            self.tokens.redeem(token)

    def knows_page(self, origin: str | None, host: str | None) -> bool:
        """Whether a script of that origin may ask under that host; one that is no browser names no origin.

        Without keys only the loopback's own names count as ours: another name may have been made to point here by the
        page that asks.
        """
        if self._keys is None and host is not None and not self._is_own(host):
            return False
        return origin is None or origin in self.allowed_origins or (bool(host) and _authority(origin) == host)

    def _is_own(self, host: str) -> bool:
        name = _host_name(f"//{host}")
        return is_loopback(name) or any(_host_name(origin) == name for origin in self.allowed_origins)


def _authority(url: str) -> str | None:
    """host:port of a URL; None where it is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _host_name(url: str) -> str:
    """The host of a URL; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
