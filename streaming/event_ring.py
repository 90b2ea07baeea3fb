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

    def after(self, seq: int) -> list[ServerMessage] | None:
        """All messages after number `seq`; None where some of them are forgotten, or `seq` was never given."""
        missed = self.last_seq - seq
        if not 0 <= missed <= len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - missed :]
