"""Where audio comes from: a file or raw PCM on standard input (the microphone: `streaming.microphone`).

Every source gives chunks of interleaved s16le bytes in its own `AudioFormat`; the pipeline resamples.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from streaming.audio import AudioFormat, float_to_pcm16
from streaming.audio_files import (
    PIPE_TO,
    certain_frames,
    check_complete,
    check_finite,
    check_readable,
    checked_format,
    open_sound,
)
from streaming.containers import HEAD_BYTES, container_of, mp3_frame_bytes
from streaming.errors import AudioError
from streaming.events import SAMPLE_RATE

BYTES_PER_SAMPLE = 2
NOTE_ABOVE_RATE = 96_000
FLOAT_SUBTYPES = frozenset({"FLOAT", "DOUBLE"})
INTEGER_SUBTYPES = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ALAC_16", "ALAC_24"})

Notify = Callable[[str], None]


class Source(Protocol):
    """Audio in chunks of interleaved s16le bytes, of any length."""

    @property
    def format(self) -> AudioFormat:
        """Rate and channels of the chunks."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The audio from its start, chunk by chunk. Raises AudioError when it breaks off."""
        ...


def ignore(_: str) -> None:
    """Take a note nobody asked for."""


class FileSource:
    """An audio file that libsndfile reads, checked before its first chunk leaves.

    Args:
        path: the file.
        block_ms: length of a chunk.
        notify: is told, in a sentence, what is unusual but usable.
        pipe_to: the command that raw audio is piped into, for messages.

    Raises:
        AudioError: the file is missing, empty, not audio, cut off, without samples, not finite, or has
            more channels or a higher rate than can be streamed.
    """

    def __init__(self, path: Path, block_ms: int = 100, notify: Notify = ignore, pipe_to: str = PIPE_TO) -> None:
        self.path = path
        self._block_ms = block_ms
        check_readable(path)
        with open_sound(path, pipe_to) as sound:
            self.format = checked_format(path, sound)
            check_complete(path, sound)
            if sound.subtype in FLOAT_SUBTYPES:
                check_finite(path, sound)
            self.duration_s: float = sound.frames / sound.samplerate
        if self.format.sample_rate > NOTE_ABOVE_RATE:
            notify(
                f"{path} has {self.format.sample_rate} Hz: it is resampled to {SAMPLE_RATE} Hz, "
                f"so a copy at {SAMPLE_RATE} Hz would be read faster."
            )

    def chunks(self) -> Iterator[bytes]:
        """The file as s16le bytes, `block_ms` a chunk. Raises AudioError where decoding fails."""
        import soundfile

        with open_sound(self.path) as sound:
            block = sound.samplerate * self._block_ms // 1000
            is_integer = sound.subtype in INTEGER_SUBTYPES
            heard = 0
            while True:
                try:
                    samples = sound.read(block, dtype="int16" if is_integer else "float32", always_2d=True)
                except soundfile.LibsndfileError as error:
                    raise _broken_at(self.path, heard / sound.samplerate, str(error)) from error
                if not len(samples):
                    break
                heard += len(samples)
                yield samples.astype("<i2").tobytes() if is_integer else float_to_pcm16(samples.reshape(-1))
            if heard < certain_frames(sound):
                raise _broken_at(self.path, heard / sound.samplerate, "its header promises more")


def _broken_at(path: Path, second: float, reason: str) -> AudioError:
    return AudioError(f"{path} cannot be read beyond {second:.2f} s ({reason.rstrip('.')}); copy or convert it again.")


class StdinSource:
    """Raw s16le mono on standard input, passed on as it arrives.

    Args:
        sample_rate: in Hz.
        stream: standard input, if it is not the process's own.
        pipe_to: the command that reads it, for messages.

    Raises:
        AudioError: standard input is a terminal, holds nothing, or holds an audio file with a header.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE, stream: BinaryIO | None = None, pipe_to: str = PIPE_TO) -> None:
        self.format = AudioFormat(sample_rate=sample_rate, channels=1)
        self._stream = _unbuffered_stdin() if stream is None else stream
        if self._stream.isatty():
            raise AudioError(
                f"standard input is a terminal; pipe raw s16le into it: "
                f"ffmpeg -i INPUT -f s16le -ar {sample_rate} -ac 1 - | {pipe_to} --sample-rate {sample_rate}"
            )

    def chunks(self) -> Iterator[bytes]:
        """Bytes as they arrive, until the other end closes."""
        # read1 hands over what is there, so that a live pipe is not held back until a block is full.
        read = getattr(self._stream, "read1", self._stream.read)
        first: list[bytes] = []
        head = b""
        # What it is shows in a few bytes, and in a second frame where the first bytes may be an MP3's.
        while len(head) < max(HEAD_BYTES, mp3_frame_bytes(head) + 4) and (chunk := read(1 << 14)):
            first.append(chunk)
            head += chunk
        if not head:
            raise AudioError("standard input holds no audio (0 bytes); check the command before the pipe.")
        container = container_of(head)
        if container is not None:
            raise AudioError(
                f"standard input holds {container}, not raw s16le; give the name of an audio file, or convert it: "
                f"ffmpeg -i INPUT -f s16le -ar {self.format.sample_rate} -ac 1 -"
            )
        yield from first
        while chunk := read(1 << 14):
            yield chunk


def _unbuffered_stdin() -> BinaryIO:
    # A thread that waits in the buffered reader holds its lock, and Python aborts when it exits then.
    if sys.stdin is None:
        raise AudioError("standard input is closed; pipe raw s16le into it, or give the name of an audio file.")
    return os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


class SequenceSource:
    """Several sources of one format as one stream, parted by silence.

    Args:
        sources: at least one.
        gap_ms: silence after each, so that the last one's end is heard out too.

    Raises:
        AudioError: there is none, or their formats differ.
    """

    def __init__(self, sources: Sequence[Source], gap_ms: int = 500) -> None:
        formats = {source.format for source in sources}
        if len(formats) != 1:
            raise AudioError(
                f"recordings streamed as one need one format and have {len(formats)}; convert them to one."
            )
        (self.format,) = formats
        self._sources = tuple(sources)
        self._gap = bytes(self.format.sample_rate * gap_ms // 1000 * self.format.channels * BYTES_PER_SAMPLE)

    def chunks(self) -> Iterator[bytes]:
        """The chunks of each source in turn."""
        for source in self._sources:
            yield from source.chunks()
            yield self._gap


class RealTimeSource:
    """Another source held back to the speed of speech: a chunk leaves when its last sample would be heard.

    Args:
        source: the audio.
        speed: how many times as fast as it is spoken.
        clock: seconds, monotonic.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        source: Source,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        speed: float = 1.0,
    ) -> None:
        self._source = source
        self._speed = speed
        self._clock = clock
        self._sleep = sleep

    @property
    def format(self) -> AudioFormat:
        """The format of the source behind."""
        return self._source.format

    def chunks(self) -> Iterator[bytes]:
        """The same chunks, in time."""
        bytes_per_second = self.format.sample_rate * self.format.channels * BYTES_PER_SAMPLE
        started = self._clock()
        sent = 0
        for chunk in self._source.chunks():
            sent += len(chunk)
            wait = started + sent / bytes_per_second / self._speed - self._clock()
            if wait > 0:
                self._sleep(wait)
            yield chunk
