"""Which message of the server answers what the client asked."""

import asyncio
from collections import defaultdict, deque
from dataclasses import fields, replace

from streaming.client.conversation import WISH_ID
from streaming.client.errors import StreamRefused
from streaming.client.outgoing import Outgoing
from streaming.protocol import (
    FINALIZE_MARKER,
    ClientMessage,
    Configure,
    Configured,
    Error,
    MarkerReached,
    ServerMessage,
)

# Markers that a call waits for, and nobody else.
CALL_PREFIX = "call-"


class Answers:
    """Asks through `outgoing`, and gives each answer to who waits for it; an answer to what was asked twice is dropped.

    Attributes:
        wishes: all settings that the server has taken so far, which a session in place of the present one wants too.
    """

    def __init__(self, outgoing: Outgoing, wishes: Configure) -> None:
        self.wishes = wishes
        self._outgoing = outgoing
        self._asked = 0
        self._configures: dict[str, Configure] = {}
        self._waiting: defaultdict[str, deque[asyncio.Future[ServerMessage]]] = defaultdict(deque)

    def wanted(self) -> Configure | None:
        """What another session is to be configured with first."""
        return None if self.wishes == Configure() else replace(self.wishes, request_id=WISH_ID)

    def configure(self, message: Configure) -> asyncio.Future[ServerMessage]:
        """Ask for settings; the future gives `Configured`, or raises StreamRefused."""
        self._asked += 1
        key = f"c{self._asked}"
        self._configures[key] = message
        return self.ask(replace(message, request_id=key), key)

    def ask(self, message: ClientMessage, key: str) -> asyncio.Future[ServerMessage]:
        """Ask for what is answered under that key."""
        self._outgoing.add(message, key)
        future: asyncio.Future[ServerMessage] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        return future

    def take(self, message: ServerMessage) -> bool:
        """Settle what the message answers; whether the stream should give it on."""
        match message:
            case MarkerReached():
                if self._outgoing.is_flow(message.id):
                    return False
                if message.id.startswith(CALL_PREFIX):
                    self._settle(message.id, message)
                    return False
                return message.id != FINALIZE_MARKER or self._settle(FINALIZE_MARKER, message)
            case Configured(request_id=str(key)):
                if key == WISH_ID:
                    self._outgoing.settle(WISH_ID)
                    return False
                self._apply(self._configures.pop(key, Configure()))
                return self._settle(key, message)
            case Error(request_id=str(key)):
                self._configures.pop(key, None)
                return self._settle(key, message)
            case _:
                return True

    def fail(self, error: BaseException) -> None:
        """Nothing will be answered any more."""
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
                    # Whoever asked may have left.
                    future.exception()
        self._waiting.clear()

    def _settle(self, key: str, message: ServerMessage) -> bool:
        if not self._outgoing.settle(key):
            return False
        waiting = self._waiting[key]
        future = waiting.popleft() if waiting else None
        if not waiting:
            del self._waiting[key]
        if future is not None and not future.done():
            if isinstance(message, Error):
                future.set_exception(StreamRefused(message.message, message))
            else:
                future.set_result(message)
        return True

    def _apply(self, message: Configure) -> None:
        if message.profile is not None:
            # A profile takes back the numbers given before it.
            self.wishes = replace(self.wishes, max_hints_per_window=None)
        if any(said is not None for said in (message.profile, message.threshold, message.false_hints_per_hour)):
            # The last of them counts.
            self.wishes = replace(self.wishes, threshold=None, false_hints_per_hour=None)
        if message.glossary is not None or message.version is not None:
            self.wishes = replace(self.wishes, version=None)
        given = {field.name: getattr(message, field.name) for field in fields(message)}
        self.wishes = replace(self.wishes, **{name: value for name, value in given.items() if value is not None})
