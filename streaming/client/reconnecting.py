"""What to do when a connection ends; no I/O."""

import random
from dataclasses import dataclass
from typing import TypeAlias

from streaming.protocol import CloseCode, Error

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.25, 8.0
# What passes between the end of a connection and the first look at the clock.
_NO_TIME_S = 0.05
# Nothing gets better by asking again: the wish, the key, the glossary or the client itself is wrong.
_NEVER = frozenset(
    {
        *(CloseCode.NORMAL, CloseCode.BROKEN_FRAME, CloseCode.BROKEN_TEXT, CloseCode.FRAME_TOO_BIG),
        *(CloseCode.CONFIG, CloseCode.AUTH, CloseCode.GLOSSARY, CloseCode.SUPERSEDED, CloseCode.TOO_FAST),
    }
)
_SESSION_GONE = frozenset({CloseCode.INTERNAL, CloseCode.IDLE, CloseCode.RESUME_EXPIRED})


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection that ended before its stream: the server's fatal error if it gave one, and the code if it closed."""

    error: Error | None = None
    code: int | None = None
    reason: str = ""

    @property
    def cause(self) -> int | None:
        """The code that says most."""
        return self.code if self.error is None else self.error.close_code


@dataclass(frozen=True, slots=True)
class Again:
    """Connect again: `after_s` seconds from here at the earliest, or `at_once` to ask for another session.

    The one there was may still be there, or is known to be gone.
    """

    after_s: float
    session_gone: bool
    at_once: bool


Plan: TypeAlias = Again | None


def plan_after(lost: Lost) -> Plan:
    """What to do about it; None for a stream that has ended."""
    if lost.cause in _NEVER:
        return None
    after_s = 0.0 if lost.error is None or lost.error.retry_after_s is None else lost.error.retry_after_s
    return Again(after_s, lost.cause in _SESSION_GONE, at_once=lost.cause == CloseCode.RESUME_EXPIRED)


def tried_for(tried_s: float, delay_s: float, give_up_s: float) -> str:
    """How long connections were tried for before one was given up that would come only after another delay."""
    if tried_s >= _NO_TIME_S:
        return f"tried for {tried_s:.1f} s"
    return f"not tried again: the next try, in {delay_s:.1f} s, is later than the {give_up_s:g} s to give up after"


class Backoff:
    """Delays that double from try to try, each drawn anew, so that the clients of a server do not come all at once."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._delay_s = _FIRST_DELAY_S

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        delay_s = self._delay_s * self._random.uniform(0.5, 1.0)
        self._delay_s = min(_LONGEST_DELAY_S, 2 * self._delay_s)
        return delay_s

    def reset(self) -> None:
        """The last try succeeded."""
        self._delay_s = _FIRST_DELAY_S
