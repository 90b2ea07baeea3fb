"""Progress for logs: where standard error is no terminal and no bar shows, a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.notes import note
from app.progress import progress_bar

PartProgress = Callable[[str, int, int], None]
"""Told which part of the work is being done, how much of it is, and of how much."""
_EVERY_S = 10.0


class Milestones:
    """Says when a part begins, and how far it is, at most every ten seconds.

    Args:
        say: takes each line.
        clock: seconds, as `time.monotonic` gives them.
    """

    def __init__(self, say: Callable[[str], None] = note, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._part, self._said_at = "", 0.0

    def __call__(self, part: str, done: int, total: int) -> None:
        """So much of a part is done."""
        now = self._clock()
        if part != self._part:
            self._say(f"{part} …")
        elif done < total and now - self._said_at >= _EVERY_S:
            self._say(f"{part} {done} of {total}")
        else:
            return
        self._part, self._said_at = part, now


@contextmanager
def part_progress(label: str) -> Iterator[PartProgress]:
    """A bar that starts anew for each part on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Milestones()
        return
    with progress_bar(label) as bar:
        yield lambda part, done, total: bar(done, total)
