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
        # Until when it is good, and for whom it was made.
        self._issued: dict[str, tuple[float, bytes]] = {}

    def issue(self, owner: bytes = b"") -> str:
        """A new one, for who has a key of the digest `owner`; the oldest of too many is forgotten."""
        self._forget_old()
        token = f"t_{secrets.token_urlsafe(_TOKEN_BYTES)}"
        self._issued[_digest(token)] = self._clock() + self._life_s, owner
        if len(self._issued) > _MOST:
            del self._issued[next(iter(self._issued))]
        return token

    def owner_of(self, token: str) -> bytes | None:
        """For whom it was made; None for one that would not be redeemed."""
        self._forget_old()
        _, owner = self._issued.get(_digest(token), (0.0, None))
        return owner

    def redeem(self, token: str) -> bool:
        """Whether it was given out, is not too old and was not used; it is used with that."""
        self._forget_old()
        return self._issued.pop(_digest(token), None) is not None

    def _forget_old(self) -> None:
        now = self._clock()
        for digest in [digest for digest, (until, _) in self._issued.items() if until <= now]:
            del self._issued[digest]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
