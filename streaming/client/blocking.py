"""`HintStream` for programs without an event loop."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from streaming.client.hint_stream import HintStream, Verdict
from streaming.client.options import StreamOptions
from streaming.client.streaming import feed
from streaming.errors import WireError
from streaming.protocol import Configured, ServerMessage

_Result = TypeVar("_Result")


class BlockingHintStream:
    """One stream of audio to a server, as `HintStream`, whose calls wait. Any thread may call any of them.

        with BlockingHintStream("ws://127.0.0.1:8765", StreamOptions(glossary="talks", format=source.format)) as stream:
            stream.send_source(source.chunks())  # returns at once; or stream.send_audio(pcm) and stream.close()
            for message in stream: ...

    Args:
        url: address of the server.
        options: what is asked of it.

    Raises:
        WireError: `url` is no websocket address.
    """

    def __init__(self, url: str, options: StreamOptions) -> None:
        self._stream = HintStream(url, options)
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hint stream", daemon=True)
        self._feeding: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Connect. Raises as `HintStream.__aenter__` does."""
        self._thread.start()
        try:
            self._wait(self._stream.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave, whether or not the stream is over."""
        self._wait(self._stop())
        self._end()

    def __iter__(self) -> Self:
        """The server's messages, `Begin` first, `Metadata` last."""
        return self

    def __next__(self) -> ServerMessage:
        """The next message. Raises as `HintStream.__anext__` does."""
        message = self._wait(self._next())
        if message is None:
            raise StopIteration
        return message

    def send_audio(self, pcm: bytes) -> None:
        """Send audio in the format of the options, cut anywhere; waits while too much is on its way.

        Raises:
            WireError: the stream is over.
        """
        self._wait(self._stream.send_audio(pcm))

    def send_source(self, chunks: Iterable[bytes]) -> None:
        """Send all of `chunks`, then close; returns at once. The iteration raises what `chunks` raises.

        Raises:
            WireError: a source is being sent already.
        """
        self._wait(self._begin_feeding(chunks))

    def configure(
        self,
        *,
        profile: str | None = None,
        threshold: float | None = None,
        false_hints_per_hour: float | None = None,
        max_hints_per_window: int | None = None,
        glossary: str | None = None,
        version: str | None = None,
    ) -> Configured:
        """Change what is given, all or nothing, from here on. Raises as `HintStream.configure` does."""
        return self._wait(
            self._stream.configure(
                profile=profile,
                threshold=threshold,
                false_hints_per_hour=false_hints_per_hour,
                max_hints_per_window=max_hints_per_window,
                glossary=glossary,
                version=version,
            )
        )

    def mute(self, entry_ids: Iterable[str], *, muted: bool = True) -> Configured:
        """Show no hints for these entries, or (`muted=False`) show them again. Raises as `configure` does."""
        return self._wait(self._stream.mute(entry_ids, muted=muted))

    def finalize(self) -> None:
        """Have the server decide on all audio so far. Raises as `HintStream.finalize` does."""
        self._wait(self._stream.finalize())

    def worked_off(self) -> list[ServerMessage]:
        """Wait until the server has worked on all audio so far. Gives and raises as `HintStream.worked_off` does."""
        return self._wait(self._stream.worked_off())

    def feedback(self, hint_id: str, verdict: Verdict, note: str | None = None) -> None:
        """Tell the server whether a hint was right. Raises as `HintStream.feedback` does."""
        self._wait(self._stream.feedback(hint_id, verdict, note))

    def close(self) -> None:
        """The audio is over: the iteration goes on to the last hints and `Metadata`."""
        self._wait(self._stream.close())

    async def _next(self) -> ServerMessage | None:
        # StopAsyncIteration cannot leave a coroutine.
        return await anext(self._stream, None)

    async def _begin_feeding(self, chunks: Iterable[bytes]) -> None:
        if self._feeding is not None:
            raise WireError("a source is being sent already: open another stream for this one")
        self._feeding = asyncio.create_task(feed(self._stream, chunks, self._options))

    async def _stop(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        await self._stream.stop()

    def _wait(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            # An interrupt of the wait: nobody is there for the answer.
            future.cancel()
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
