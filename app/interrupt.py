"""Ctrl-C as the end of a source: what was heard is still worked on; a second Ctrl-C stops at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from streaming.audio import AudioFormat
from streaming.sources import Source


class UntilInterrupt:
    """Another source that ends at the first Ctrl-C (SIGINT); for the main thread, where signals arrive.

    Args:
        source: the audio.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.is_interrupted = False
        self._is_waiting = False

    @property
    def format(self) -> AudioFormat:
        """The format of the source behind."""
        return self._source.format

    def chunks(self) -> Iterator[bytes]:
        """The same chunks, until Ctrl-C."""
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield from self._until_interrupt()
        except KeyboardInterrupt:
            if not self.is_interrupted:
                raise
        finally:
            signal.signal(signal.SIGINT, before)

    def _until_interrupt(self) -> Iterator[bytes]:
        chunks = self._source.chunks()
        while True:
            # Set before the look at the flag: an interrupt between the two must not wait for the next chunk.
            self._is_waiting = True
            chunk = None if self.is_interrupted else next(chunks, None)
            self._is_waiting = False
            if chunk is None:
                return
            yield chunk

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Break off the wait for audio, but not the work on it."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.is_interrupted = True
        if self._is_waiting:
            raise KeyboardInterrupt


@contextmanager
def on_first_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Inside the context the first Ctrl-C calls `act`, on the running event loop; for the main thread."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
        act()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
