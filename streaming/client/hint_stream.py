"""A stream to a server that outlives its connections: `HintStream`, for asyncio."""

import asyncio
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Literal, Self, TypeAlias

from streaming.client.answers import CALL_PREFIX, Answers
from streaming.client.continuity import Continuity
from streaming.client.conversation import Conversation
from streaming.client.options import StreamOptions
from streaming.client.outgoing import Outgoing
from streaming.errors import SettingError, WireError
from streaming.protocol import (
    FINALIZE_MARKER,
    Begin,
    ClientMessage,
    CloseStream,
    Configure,
    Configured,
    Feedback,
    Finalize,
    Marker,
    ServerMessage,
)

Verdict: TypeAlias = Literal["right", "wrong"]


class HintStream:
    """One stream of audio to a server, and what the server says of it.

        async with HintStream("ws://127.0.0.1:8765", StreamOptions(glossary="talks")) as stream:
            ...  # in one task: await stream.send_audio(pcm), in the end await stream.close()
            async for message in stream: ...

    A connection that breaks is made again, and the server hears again what it has missed. Where it has forgotten the
    session, another one goes on: times, numbers and hints are those of one stream all the same, none is given twice.

    Args:
        url: address of the server.
        options: what is asked of it.

    Raises:
        WireError: `url` is no websocket address.
    """

    def __init__(self, url: str, options: StreamOptions) -> None:
        self._outgoing = Outgoing(options.format, options.ahead_s, options.ring_s)
        self._continuity = Continuity()
        wishes = Configure(
            threshold=options.threshold,
            false_hints_per_hour=options.false_hints_per_hour,
            mute_entries=options.mute_entries or None,
        )
        self._answers = Answers(self._outgoing, wishes)
        self._conversation = Conversation(
            url, options, self._outgoing, self._continuity, self._answers.wanted, self._receive
        )
        self._given: asyncio.Queue[ServerMessage | None] = asyncio.Queue()
        self._room, self._begun = asyncio.Event(), asyncio.Event()
        self._muted = frozenset(options.mute_entries)
        self._calls = count()
        self._is_closing = self._is_over = self._closes_when_read = self._is_awaited = False
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ServerUnreachable: the server cannot be reached.
            StreamRefused: it refuses the stream.
            WireError: it speaks another protocol.
            SettingError: the API key cannot be sent.
        """
        self.start()
        try:
            await self.begun()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave, whether or not the stream is over."""
        await self.stop()

    def start(self) -> None:
        """Connect in the background; what goes wrong is raised by `begun` and by the iteration."""
        self._task = asyncio.create_task(self._run())

    async def begun(self) -> None:
        """Wait for the server's greeting. Raises what `__aenter__` raises."""
        await self._begun.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self, failure: Exception | None = None) -> None:
        """End the connection and the iteration, which raises `failure` if one is given."""
        self._failure = self._failure or failure
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def __aiter__(self) -> Self:
        """The server's messages, `Begin` first, `Metadata` last."""
        return self

    async def __anext__(self) -> ServerMessage:
        """The next message.

        Raises:
            StreamRefused: the server ended the stream; its fatal `Error` was given before.
            StreamLost: the connection broke and could not be made again in time.
            WireError: the server broke the protocol.
        """
        if self._closes_when_read and self._given.empty():
            await self.close()
        self._is_awaited = self._given.empty()
        try:
            message = await self._given.get()
        finally:
            self._is_awaited = False
        if message is not None:
            return message
        # Whoever asks again is told again.
        self._given.put_nowait(None)
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def send_audio(self, pcm: bytes) -> None:
        """Send audio in the format of the options, cut anywhere; waits while too much is on its way.

        Raises:
            WireError: the stream is over.
        """
        while not self._outgoing.has_room and not self._is_over:
            self._room.clear()
            await self._room.wait()
        self._check_open()
        self._outgoing.add_audio(pcm)
        self._conversation.wake()

    async def configure(
        self,
        *,
        profile: str | None = None,
        threshold: float | None = None,
        false_hints_per_hour: float | None = None,
        max_hints_per_window: int | None = None,
        glossary: str | None = None,
        version: str | None = None,
    ) -> Configured:
        """Change what is given, all or nothing, from here on; also for sessions that take the place of this one.

        Raises:
            StreamRefused: the server takes no such setting; all stays as it was.
            WireError: the stream is over.
        """
        return await self._configure(
            Configure(
                profile=profile,
                threshold=threshold,
                false_hints_per_hour=false_hints_per_hour,
                max_hints_per_window=max_hints_per_window,
                glossary=glossary,
                version=version,
            )
        )

    async def mute(self, entry_ids: Iterable[str], *, muted: bool = True) -> Configured:
        """Show no hints for these entries, or (`muted=False`) show them again. Raises as `configure` does."""
        changed = self._muted | frozenset(entry_ids) if muted else self._muted - frozenset(entry_ids)
        configured = await self._configure(Configure(mute_entries=tuple(sorted(changed))))
        self._muted = changed
        return configured

    async def finalize(self) -> None:
        """Have the server decide on all audio so far; returns when its hints have come. The stream goes on.

        Raises:
            WireError: the stream is over.
        """
        await self._asked(Finalize(), FINALIZE_MARKER)

    async def worked_off(self) -> list[ServerMessage]:
        """Wait until the server has worked on all audio so far; what it has said and nobody has read yet.

        Raises:
            WireError: the stream is over.
        """
        marker = f"{CALL_PREFIX}{next(self._calls)}"
        await self._asked(Marker(id=marker), marker)
        said: list[ServerMessage] = []
        while not self._given.empty() and (message := self._given.get_nowait()) is not None:
            said.append(message)
        return said

    async def feedback(self, hint_id: str, verdict: Verdict, note: str | None = None) -> None:
        """Tell the server whether a hint was right.

        That of a session that is gone, or of a stream that was closed, is of no use to it and not sent.

        Raises:
            SettingError: the verdict is neither "right" nor "wrong".
            WireError: the connection could not be kept.
        """
        if verdict not in ("right", "wrong"):
            raise SettingError(f"verdict = {verdict!r}: give right or wrong")
        if self._failure is None and (self._is_closing or self._is_over):
            return
        self._check_open()
        server_id = self._continuity.server_hint_id(hint_id)
        if server_id is not None:
            self._outgoing.add(Feedback(hint_id=server_id, verdict=verdict, note=note))
            self._conversation.wake()

    async def close(self) -> None:
        """The audio is over: the iteration goes on to the last hints and `Metadata`."""
        if not self._is_closing and not self._is_over:
            self._is_closing = True
            self._outgoing.add(CloseStream())
            self._conversation.wake()

    async def close_when_read(self) -> None:
        """No audio comes any more: wait until the server has worked on all, and close when its hints have been read.

        Until then the reader may still answer hints, by `feedback` for one.

        Raises:
            WireError: the stream is over.
        """
        marker = f"{CALL_PREFIX}{next(self._calls)}"
        await self._asked(Marker(id=marker), marker)
        self._closes_when_read = True
        if self._is_awaited:
            await self.close()

    async def _configure(self, message: Configure) -> Configured:
        self._check_open()
        answer = self._answers.configure(message)
        self._conversation.wake()
        configured = await answer
        assert isinstance(configured, Configured)
        return configured

    async def _asked(self, message: ClientMessage, key: str) -> None:
        self._check_open()
        answer = self._answers.ask(message, key)
        self._conversation.wake()
        await answer

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_over or self._is_closing or self._task is None:
            raise WireError(f"the stream is {'not open' if self._task is None else 'over'}: open another one")

    async def _run(self) -> None:
        try:
            await self._conversation.run()
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._is_over = True
            self._answers.fail(self._failure or WireError("the stream ended before the server's answer"))
            self._given.put_nowait(None)
            self._room.set()
            self._begun.set()

    def _receive(self, message: ServerMessage) -> None:
        if self._answers.take(message):
            self._given.put_nowait(message)
        if isinstance(message, Begin):
            self._begun.set()
        # A marker of our own may have made room, and may let more audio go.
        self._room.set()
        self._conversation.wake()
