"""Who is let in: keys, short-lived tokens, and the pages whose scripts may connect."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from streaming.errors import SettingError
from streaming.protocol import CloseCode
from streaming.server.api_keys import ApiKeys, digest_of, presented_key
from streaming.server.tokens import ShortTokens
from streaming.sessions.closing import Output, refusal

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
        self._tokens = ShortTokens()

    def replace_keys(self, keys: ApiKeys) -> None:
        """Let these in, and nobody else. Raises SettingError where there were none, which is another kind of server."""
        if self._keys is None:
            raise SettingError("this server began without API keys: start it again with --api-keys-file")
        self._keys = keys

    def key_of(self, authorizations: Sequence[str], subprotocols: Sequence[str] = (), query: str = "") -> bytes | None:
        """Digest of the key, known or not, that a client comes with or that its token was made for; None for none."""
        token = _token_in(query)
        owner = None if token is None else self._tokens.owner_of(token)
        # A token whose key was removed does not shut out who has a key beside it.
        if owner is not None and self.lets_in(owner):
            return owner
        key = presented_key(authorizations, subprotocols)
        return None if key is None else digest_of(key)

    def lets_in(self, key: bytes | None) -> bool:
        """Whether the key of that digest is good now; without keys there need be none."""
        return self._keys is None or (key is not None and self._keys.holds(key))

    def issue_token(self, authorizations: Sequence[str]) -> str:
        """A token for who is let in with these."""
        return self._tokens.issue(self.key_of(authorizations) or b"")

    def refused(
        self, authorizations: Sequence[str], subprotocols: Sequence[str] = (), query: str = ""
    ) -> tuple[Output, ...]:
        """Why a client is not let in, with what it presents; empty for a welcome one."""
        if self.lets_in(self.key_of(authorizations, subprotocols, query)):
            return ()
        if presented_key(authorizations, subprotocols) is not None:
            return refusal("wrong_key", CloseCode.AUTH, "this API key is not known here: ask the server's owner")
        if _token_in(query) is not None:
            message = "this token is not known, used or too old: ask POST /v1/tokens for another one"
            return refusal("wrong_token", CloseCode.AUTH, message)
        return refusal("no_key", CloseCode.AUTH, f"an API key is needed: {_CURE}")

    def admit(self, query: str) -> None:
        """A client that was not refused is let in: the token in its address is used."""
        if (token := _token_in(query)) is not None:
            self._tokens.redeem(token)

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


def _token_in(query: str) -> str | None:
    return dict(parse_qsl(query, keep_blank_values=True)).get("token")


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
