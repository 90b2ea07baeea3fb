"""The sessions of a server by the tokens with which their clients may take them up again."""

import hashlib
import secrets
import time
from collections.abc import Callable

from streaming.server.live_session import LiveSession

_TOKEN_BYTES = 24


def _nothing(_: LiveSession) -> None:
    pass


class ResumableSessions:
    """Live sessions, and those that wait for their clients to come back.

    Tokens are kept as digests: who reads the memory of the table learns none, and a look-up takes as long whatever
    the token is like.

    Args:
        most: sessions that may be there at a time, waiting ones included; the longest waiting makes room.
        window_s: how long a session waits.
        on_end: told of each session that nobody can take up any more.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        most: int,
        window_s: float,
        on_end: Callable[[LiveSession], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._window_s, self._on_end, self._clock = most, window_s, on_end, clock
        self._live: dict[str, LiveSession] = {}
        self._parked_at: dict[str, float] = {}

    @property
    def parked(self) -> int:
        """Those that wait."""
        self.expire()
        return len(self._parked_at)

    @staticmethod
    def new_token() -> str:
        """A token that nobody can guess."""
        return f"r_{secrets.token_urlsafe(_TOKEN_BYTES)}"

    def add(self, token: str, live: LiveSession) -> None:
        """A session is open; where there are too many, the one that waits longest is forgotten."""
        self.expire()
        self._live[_digest(token)] = live
        if len(self._live) > self._most and self._parked_at:
            self._forget(min(self._parked_at, key=self._parked_at.__getitem__))

    def find(self, token: str) -> LiveSession | None:
        """The session of a token; None where there is none, or none any more."""
        self.expire()
        return self._live.get(_digest(token))

    def take_up(self, token: str) -> None:
        """Its client is back."""
        self._parked_at.pop(_digest(token), None)

    def park(self, token: str) -> None:
        """Its connection broke; it waits from here on."""
        digest = _digest(token)
        if digest in self._live:
            self._parked_at[digest] = self._clock()

    def drop(self, token: str) -> None:
        """It is over."""
        self._forget(_digest(token))

    def expire(self) -> None:
        """Forget those that have waited too long."""
        now_s = self._clock()
        for digest in [digest for digest, since_s in self._parked_at.items() if now_s - since_s > self._window_s]:
            self._forget(digest)

    def clear(self) -> None:
        """Forget all."""
        for digest in list(self._live):
            self._forget(digest)

    def _forget(self, digest: str) -> None:
        self._parked_at.pop(digest, None)
        if (live := self._live.pop(digest, None)) is not None:
            self._on_end(live)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
