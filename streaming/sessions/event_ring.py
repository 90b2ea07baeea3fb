"""The last messages of a session, kept so that a client whose connection broke misses none."""

from collections import deque
from collections.abc import Iterable

from streaming.protocol import ServerMessage

# About a minute of a stream that tells every event of every hop, and some 400 kB.
MOST_MESSAGES = 1024


class EventRing:
    """Messages by their numbers, which rise by one; the oldest make room for new ones."""

    def __init__(self, most: int = MOST_MESSAGES) -> None:
        self._kept: deque[ServerMessage] = deque(maxlen=most)
        self.last_seq = -1

    def add(self, messages: Iterable[ServerMessage]) -> None:
        """Keep messages that were just numbered."""
        for message in messages:
            self._kept.append(message)
            self.last_seq = message.seq

    def reaches(self, seq: int) -> bool:
        """Whether all messages after number `seq` are there; may be asked from any thread."""
        return 0 <= self.last_seq - seq <= len(self._kept)

    def after(self, seq: int) -> list[ServerMessage] | None:
        """All messages after number `seq`; None where some of them are forgotten, or `seq` was never given."""
        if not self.reaches(seq):
            return None
        return list(self._kept)[len(self._kept) - (self.last_seq - seq) :]
