"""A source to a server, and the server's messages as they come."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from streaming.client.hint_stream import HintStream
from streaming.client.options import StreamOptions
from streaming.client.source_pump import SourcePump, cut_frames
from streaming.errors import WireError
from streaming.protocol import ServerMessage


async def stream_hints(
    url: str, chunks: Iterable[bytes], options: StreamOptions, ended: asyncio.Event | None = None
) -> AsyncGenerator[ServerMessage, None]:
    """Send `chunks` and give the server's messages, `Begin` first and, when the audio has ended, `Metadata` last.

    A connection that breaks is made again as `HintStream` does; then another `Begin` comes.

    Args:
        url: address of the server.
        chunks: audio in `options.format`; iterated on a thread, so it may block, and a live source sets the pace.
        options: what is asked of the server.
        ended: once it is set the audio is over, whatever the source would still give.

    Raises:
        ServerUnreachable: the server cannot be reached.
        StreamRefused: it refuses or ends the stream. Its fatal `Error` is given before.
        StreamLost: the connection broke and could not be made again in time.
        WireError: `url` is no address, or the server speaks another protocol.
        SettingError: the API key cannot be sent.
        Exception: whatever `chunks` raises.
    """
    stream = HintStream(url, options)
    stream.start()
    feeding = asyncio.create_task(feed(stream, chunks, options, ended))
    try:
        async for message in stream:
            yield message
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await stream.stop()


async def feed(
    stream: HintStream, chunks: Iterable[bytes], options: StreamOptions, ended: asyncio.Event | None = None
) -> None:
    """Send all of `chunks`, or what there is of them once `ended` is set, then close.

    A source that breaks ends the stream with its own error.
    """
    try:
        await stream.begun()
    except Exception:
        # The iteration raises the same.
        return
    pump = SourcePump(cut_frames(chunks, options.format))
    ending = None if ended is None else asyncio.create_task(ended.wait())
    if ending is not None:
        ending.add_done_callback(lambda _: pump.end())
    try:
        while (frame := await _next_frame(stream, pump)) is not None:
            await stream.send_audio(frame)
        await stream.close_when_read()
    except WireError:
        # The stream is over, and the iteration knows why.
        return
    finally:
        if ending is not None:
            ending.cancel()
        pump.stop()


async def _next_frame(stream: HintStream, pump: SourcePump) -> bytes | None:
    try:
        return await pump.get()
    except Exception as error:
        await stream.stop(error)
        return None
