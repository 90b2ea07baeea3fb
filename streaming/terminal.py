"""Whether anybody sees the process, and SIGHUP, which says that nobody does any more or asks to read all again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STANDARD_STREAMS = (0, 1, 2)


def has_terminal() -> bool:
    """Whether somebody sees what the process says; a terminal that was closed is none any more."""
    return any(os.isatty(stream) for stream in _STANDARD_STREAMS)


class EarlyHangup:
    """SIGHUP while a server is being set up: kept for when it runs, where by itself it would end the process."""

    def __init__(self) -> None:
        self._had_terminal = has_terminal()
        self._came = False

    def came(self) -> bool:
        """Whether it was asked to read all again."""
        return self._came

    def take(self, number: int, frame: FrameType | None) -> None:
        """As a signal handler."""
        if self._had_terminal and not has_terminal():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._came = True


@contextmanager
def hangups_kept() -> Iterator[EarlyHangup]:
    """Inside the context SIGHUP is kept, until a server takes the signal over; for the main thread.

    Where the signal is ignored by the end, it stays so: whoever does that ends the process.
    """
    early = EarlyHangup()
    before = signal.signal(signal.SIGHUP, early.take)
    try:
        yield early
    finally:
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, before)
