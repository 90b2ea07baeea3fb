"""The client for programs without an event loop."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.audio import AudioFormat
from streaming.client import BlockingHintStream, CallbackSource, ServerUnreachable, StreamOptions
from streaming.errors import AudioError, SettingError, WireError
from streaming.protocol import Begin, Metadata, ServerMessage, TermHint
from streaming.session import ServedGlossary
from streaming.sources import FileSource
from streaming.testing import synthetic_pcm
from tests.streaming.client.faulty_server import Fault, server_thread

Served = Mapping[str, ServedGlossary]
TONES = StreamOptions(glossary="tones")
TWO_TONES = synthetic_pcm([(0, 400), (900, 600), (0, 800), (1700, 600), (0, 800)])
TERMS = ["900 hertz tone", "1700 hertz tone"]


def _terms(messages: Sequence[ServerMessage]) -> list[str]:
    return [message.term for message in messages if isinstance(message, TermHint)]


def test_a_file_is_heard_over_a_broken_connection(served: Served, tmp_path: Path) -> None:
    """A source is sent in the background while the messages are read, and survives a cut and a restart."""
    soundfile.write(tmp_path / "tones.wav", np.frombuffer(TWO_TONES, "<i2"), 16_000)
    source = FileSource(tmp_path / "tones.wav")
    options = StreamOptions(glossary="tones", format=source.format)
    faults = [Fault(after_s=0.8), Fault(after_s=0.9, forget=True)]
    with server_thread(served, faults) as url, BlockingHintStream(url, options) as stream:
        stream.send_source(source.chunks())
        with pytest.raises(WireError, match="already"):
            stream.send_source([])
        heard = list(stream)
        assert list(stream) == []
    assert isinstance(heard[0], Begin)
    assert isinstance(heard[-1], Metadata)
    assert _terms(heard) == TERMS


def test_hints_of_a_source_can_be_judged_to_the_end(served: Served) -> None:
    """The stream is not closed before its reader has read what is there: the README's example, with a short recording."""
    given: list[str] = []
    with server_thread(served) as url, BlockingHintStream(url, TONES) as stream:
        stream.send_source([TWO_TONES])
        heard = []
        for message in stream:
            heard.append(message)
            if isinstance(message, TermHint):
                stream.feedback(message.hint_id, "right")
                given.append(message.term)
        # Of a stream that is over it is no use, and no error.
        stream.feedback("h1", "wrong")
    assert given == TERMS
    assert isinstance(heard[-1], Metadata)


def test_one_thread_sends_and_another_reads(served: Served) -> None:
    """Audio, settings, feedback and end may come from any thread."""
    with server_thread(served) as url, BlockingHintStream(url, TONES) as stream:

        def talk() -> None:
            stream.mute(["tones:1700"])
            stream.send_audio(TWO_TONES[:44_800])
            stream.finalize()
            stream.configure(threshold=0.6)
            stream.feedback("h1", "right")
            stream.send_audio(TWO_TONES[44_800:])
            stream.close()

        talking = threading.Thread(target=talk)
        talking.start()
        heard = list(stream)
        talking.join(10)
    assert _terms(heard) == TERMS[:1]


def test_audio_from_a_callback_is_heard(served: Served) -> None:
    """What an audio library hands over on its thread is a source like any other."""
    source = CallbackSource(AudioFormat())

    def record() -> None:
        for start in range(0, len(TWO_TONES), 640):
            source.take(TWO_TONES[start : start + 640])
        source.end()

    with server_thread(served) as url, BlockingHintStream(url, TONES) as stream:
        recording = threading.Thread(target=record)
        recording.start()
        stream.send_source(source.chunks())
        assert _terms(list(stream)) == TERMS
        recording.join(10)
    assert source.dropped_s == 0


def test_a_callback_never_waits_and_never_moves_the_clock() -> None:
    """What finds no place is counted, and as much silence comes in its stead before what follows."""
    source = CallbackSource(AudioFormat(), queue_s=0.2)
    chunks = source.chunks()
    for value in (b"\1", b"\2", b"\3", b"\4"):
        source.take(value * 3200)
    assert source.dropped_s == pytest.approx(0.2)
    # The place of a chunk is free when the next one is asked for.
    assert [next(chunks), next(chunks)] == [b"\1" * 3200, b"\2" * 3200]
    source.take(b"\5" * 1600)
    source.end()
    assert b"".join(chunks) == bytes(6400) + b"\5" * 1600


def test_a_callback_needs_room() -> None:
    """A queue of nothing would drop all."""
    with pytest.raises(SettingError, match="queue_s"):
        CallbackSource(AudioFormat(), queue_s=0)


def test_a_source_that_breaks_is_raised_by_the_iteration(served: Served) -> None:
    """The source's own error reaches the thread that reads."""

    def chunks() -> Iterator[bytes]:
        yield bytes(3200)
        raise AudioError("the microphone was pulled out")

    with server_thread(served) as url, BlockingHintStream(url, TONES) as stream:
        stream.send_source(chunks())
        with pytest.raises(AudioError, match="pulled out"):
            list(stream)


def test_nobody_listening_is_raised_on_entry(served: Served) -> None:
    """A server that is not there is typed, and no thread is left behind."""
    with server_thread(served) as url:
        pass
    before = threading.active_count()
    with pytest.raises(ServerUnreachable, match="termcue serve"), BlockingHintStream(url, TONES):
        pass
    assert threading.active_count() == before
