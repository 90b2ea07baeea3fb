"""Source -> session -> sink, for a stream that is heard in this process."""

from app.render import Sink
from streaming.protocol import CloseStream, ServerMessage, encode
from streaming.session import Output, Session
from streaming.sources import BYTES_PER_SAMPLE, Source


def listen_to(source: Source, session: Session, sink: Sink) -> None:
    """Stream all of `source` and show every message as it comes, from Begin to Metadata.

    Raises:
        AudioError: the source breaks off.
    """
    bytes_per_second = source.format.sample_rate * source.format.channels * BYTES_PER_SAMPLE
    heard_bytes = 0
    with sink:
        _show(session.greeting(), sink)
        for chunk in source.chunks():
            _show(session.receive_audio(chunk), sink)
            heard_bytes += len(chunk)
            sink.heard(heard_bytes / bytes_per_second)
        _show(session.receive_text(encode(CloseStream())), sink)


def _show(outputs: list[Output], sink: Sink) -> None:
    for output in outputs:
        if isinstance(output, ServerMessage):
            sink.show(output)
