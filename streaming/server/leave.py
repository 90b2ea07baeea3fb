"""How the server takes leave: waits become short, work ends a moment before the rest, and all of it ends in time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

# A client that sends and takes nothing for so long is not waited for, once the server leaves.
STALL_S = 1.0
# So much of the time is for saying goodbye, half of it at most.
_GOODBYE_S = 1.0
# How often it is looked who takes what is sent.
_LOOK_S = 0.05


class Leave:
    """The end of a server as those see it who are busy; for one event loop."""

    def __init__(self) -> None:
        self._work_ends_s = self._ends_s = float("inf")
        # Each wait, and whether it may last to the very end.
        self._waits: dict[asyncio.Timeout, bool] = {}

    @property
    def is_begun(self) -> bool:
        """Whether the server takes leave."""
        return self._ends_s != float("inf")

    @property
    def is_over(self) -> bool:
        """Whether whoever works is to say goodbye now."""
        return self.is_begun and asyncio.get_running_loop().time() >= self._work_ends_s

    @property
    def left_s(self) -> float:
        """Seconds until everything is cut; infinite before the leave has begun."""
        return max(0.0, self._ends_s - asyncio.get_running_loop().time()) if self.is_begun else float("inf")

    def begin(self, drain_s: float) -> None:
        """Everything is over in `drain_s` seconds; called again, it can only become earlier."""
        now_s = asyncio.get_running_loop().time()
        self._ends_s = min(self._ends_s, now_s + drain_s)
        self._work_ends_s = min(self._work_ends_s, now_s + max(drain_s / 2, drain_s - _GOODBYE_S))
        for wait, lasts in self._waits.items():
            wait.reschedule(self._bounded(wait.when(), lasts=lasts))

    @asynccontextmanager
    async def patience(self, patience_s: float = float("inf")) -> AsyncIterator[None]:
        """Wait in the block for somebody who may never come: `patience_s` at most, `STALL_S` once the server leaves.

        Raises:
            TimeoutError: it took longer.
        """
        async with self._bounds(asyncio.get_running_loop().time() + patience_s, lasts=False):
            yield

    @asynccontextmanager
    async def until_the_end(self) -> AsyncIterator[None]:
        """Wait in the block until everything is cut. Raises TimeoutError then."""
        async with self._bounds(float("inf"), lasts=True):
            yield

    @asynccontextmanager
    async def _bounds(self, when_s: float, *, lasts: bool) -> AsyncIterator[None]:
        async with asyncio.timeout_at(self._bounded(when_s, lasts=lasts)) as wait:
            self._waits[wait] = lasts
            try:
                yield
            finally:
                del self._waits[wait]

    def _bounded(self, when_s: float | None, *, lasts: bool) -> float | None:
        when_s = float("inf") if when_s is None else when_s
        if self.is_begun:
            soon_s = asyncio.get_running_loop().time() + STALL_S
            when_s = min(when_s, self._ends_s if lasts else min(soon_s, self._work_ends_s))
        return None if when_s == float("inf") else when_s


async def cut_stalled(transports: Callable[[], Iterable[asyncio.Transport]]) -> None:
    """Cut those on which nothing moves for `STALL_S` though something is to be sent, until cancelled."""
    now_s = asyncio.get_running_loop().time
    seen: dict[asyncio.Transport, tuple[int, float]] = {}
    while True:
        for transport in transports():
            unsent = transport.get_write_buffer_size()
            before, since_s = seen.get(transport, (-1, now_s()))
            # Over TLS even a goodbye wants an answer.
            if unsent != before or not (unsent or transport.is_closing()):
                seen[transport] = unsent, now_s()
            elif now_s() - since_s > STALL_S:
                transport.abort()
        await asyncio.sleep(_LOOK_S)
