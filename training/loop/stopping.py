"""Ctrl-C and SIGTERM as a wish to stop: the step at work ends, its state is saved; a second one stops at once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_S = 2.0
_STDERR = 2
_ANSWER = b"\ntermcue: stopping after this step; a second one stops at once\n"


class Stopped(KeyboardInterrupt):
    """The run was asked to stop and saved its state; the same command goes on from there."""


@contextmanager
def handled(action: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `action` inside. Off the main thread, where none arrive, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {wanted: signal.signal(wanted, action) for wanted in SIGNALS}
    try:
        yield
    finally:
        for wanted, earlier in before.items():
            signal.signal(wanted, earlier)


class StopWish:
    """Whether a signal asked for the end.

    Args:
        is_told: whether this process says so on standard error, at once.
    """

    def __init__(self, is_told: bool = True) -> None:
        self.is_raised = False
        self._is_told = is_told
        self._since = 0.0

    def _notice(self, number: int, frame: FrameType | None) -> None:
        """The first signal is a wish; torchrun passes on what the terminal sent already: an echo is none more."""
        if not self.is_raised:
            self.is_raised, self._since = True, time.monotonic()
            if self._is_told:
                # Not through Python's streams: the signal may have come in the middle of a write to them.
                with suppress(OSError):
                    os.write(_STDERR, _ANSWER)
        elif time.monotonic() - self._since > _ECHO_S:
            raise KeyboardInterrupt

    def listening(self) -> AbstractContextManager[None]:
        """Inside, signals only raise the flag."""
        return handled(self._notice)
