"""Short-lived tokens for clients that cannot keep a key secret, such as web pages: good for one connection."""

import hashlib
import secrets
import time
from collections.abc import Callable

TOKEN_LIFE_S = 60
_TOKEN_BYTES = 24
# More than any honest page asks for in a minute.
_MOST = 10_000


class ShortTokens:
    """Tokens that were given out, kept as digests, each until it is used or too old."""

    def __init__(self, life_s: float = TOKEN_LIFE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_s, self._clock = life_s, clock
        self._expires: dict[str, float] = {}

    def issue(self) -> str:
        """A new one; the oldest of too many is forgotten."""
        self._forget_old()
        token = f"t_{secrets.token_urlsafe(_TOKEN_BYTES)}"
        self._expires[_digest(token)] = self._clock() + self._life_s
        if len(self._expires) > _MOST:
            del self._expires[next(iter(self._expires))]
        return token

    def knows(self, token: str) -> bool:
        """Whether it would be redeemed."""
        self._forget_old()
        return _digest(token) in self._expires

    def redeem(self, token: str) -> bool:
        """Whether it was given out, is not too old and was not used; it is used with that."""
        self._forget_old()
        return self._expires.pop(_digest(token), None) is not None

    def _forget_old(self) -> None:
        now = self._clock()
        for digest in [digest for digest, until in self._expires.items() if until <= now]:
            del self._expires[digest]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
