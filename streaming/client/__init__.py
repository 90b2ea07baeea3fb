"""The clients of a TermCue server.

`stream_hints` sends a source and gives the messages; `HintStream` is a stream to talk to, and `BlockingHintStream` its
twin for programs without an event loop. `CallbackSource` makes a source of audio that somebody else hands over.
"""

from streaming.client.address import hints_address
from streaming.client.blocking import BlockingHintStream
from streaming.client.callback_source import CallbackSource
from streaming.client.errors import ServerUnreachable, StreamLost, StreamRefused
from streaming.client.hint_stream import HintStream
from streaming.client.options import StreamOptions
from streaming.client.streaming import stream_hints

__all__ = [
    "BlockingHintStream",
    "CallbackSource",
    "HintStream",
    "ServerUnreachable",
    "StreamLost",
    "StreamOptions",
    "StreamRefused",
    "hints_address",
    "stream_hints",
]
