"""Where audio comes from: a file or raw PCM on standard input (the microphone: `streaming.microphone`).

Every source gives chunks of interleaved s16le bytes in its own `AudioFormat`; the pipeline resamples.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from streaming.audio import AudioFormat, float_to_pcm16
from streaming.containers import HEAD_BYTES, container_of, missing_end, mp3_frame_bytes
from streaming.errors import AudioError
from streaming.events import SAMPLE_RATE

BYTES_PER_SAMPLE = 2
MAX_CHANNELS = 2
NOTE_ABOVE_RATE = 96_000
# A WAV written to a pipe cannot know its length and says a number near the end of its 31 or 32 bits.
UNKNOWN_LENGTH = 2**31 - 2**16
FLOAT_SUBTYPES = frozenset({"FLOAT", "DOUBLE"})
INTEGER_SUBTYPES = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ALAC_16", "ALAC_24"})
_SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)

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

    Raises:
        AudioError: the file is missing, empty, not audio, cut off, without samples, not finite, or has
            more channels or a higher rate than can be streamed.
    """

    def __init__(self, path: Path, block_ms: int = 100, notify: Notify = ignore) -> None:
        self.path = path
        self._block_ms = block_ms
        _check_readable(path)
        with _open_sound(path) as sound:
            self.format = _checked_format(path, sound)
            check_complete(path, sound)
            if sound.subtype in FLOAT_SUBTYPES:
                _check_finite(path, sound)
            self.duration_s: float = sound.frames / sound.samplerate
        if self.format.sample_rate > NOTE_ABOVE_RATE:
            notify(
                f"{path} has {self.format.sample_rate} Hz: it is resampled to {SAMPLE_RATE} Hz, "
                f"so a copy at {SAMPLE_RATE} Hz would be read faster."
            )

    def chunks(self) -> Iterator[bytes]:
        """The file as s16le bytes, `block_ms` a chunk. Raises AudioError where decoding fails."""
        import soundfile

        with _open_sound(self.path) as sound:
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
            if heard < _certain_frames(sound):
                raise _broken_at(self.path, heard / sound.samplerate, "its header promises more")


def _check_readable(path: Path) -> None:
    try:
        is_there = path.exists()
    except OSError as error:  # a name too long
        raise AudioError(f"{str(path)[:60]}... cannot be opened ({error.strerror}); correct the name.") from error
    if not is_there:
        raise AudioError(f"{path} does not exist; give the name of an audio file, '-' or 'mic'.")
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file; give an audio file, or pipe raw s16le to '-'.")
    try:
        with path.open("rb") as stream:
            is_empty = not stream.read(1)
    except OSError as error:
        raise AudioError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if is_empty:
        raise AudioError(f"{path} is empty (0 bytes); record or copy it again.")


# soundfile and sounddevice come without type stubs, so their objects are `Any`.
def _open_sound(path: Path) -> Any:  # noqa: ANN401
    import soundfile

    try:
        return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} is not audio that libsndfile can read ({error.error_string.rstrip('.')}); "
            f"convert it: ffmpeg -i INPUT -ar {SAMPLE_RATE} -ac 1 OUTPUT.wav"
        ) from error
    except TypeError as error:  # soundfile wants rate and channels for the name *.raw
        raise AudioError(
            f"{path} says nothing of its format; pipe it: termcue listen - --sample-rate N < FILE"
        ) from error


def _checked_format(path: Path, sound: Any) -> AudioFormat:  # noqa: ANN401
    if not sound.frames:
        raise AudioError(f"{path} holds no audio (0 samples); record it again, or check that it was copied whole.")
    if sound.channels > MAX_CHANNELS:
        raise AudioError(
            f"{path} has {sound.channels} channels and at most {MAX_CHANNELS} can be streamed; "
            f"mix it down: ffmpeg -i INPUT -ac 1 OUTPUT.wav"
        )
    try:
        return AudioFormat(sample_rate=sound.samplerate, channels=sound.channels)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def check_complete(path: Path, sound: Any) -> None:  # noqa: ANN401
    """Refuse a file whose end is missing; libsndfile would read a cut WAV without a word.

    Args:
        path: the file.
        sound: its open `soundfile.SoundFile`, which stands at its start afterwards.

    Raises:
        AudioError: its end is not there.
        OSError: it cannot be read.
    """
    reason = _why_incomplete(path, sound)
    if reason is not None:
        raise AudioError(
            f"{path} is cut off: {reason}; copy it again, or keep what is there: ffmpeg -i INPUT OUTPUT.wav"
        )


def _why_incomplete(path: Path, sound: Any) -> str | None:  # noqa: ANN401
    import soundfile

    missing = missing_end(path)
    if missing is not None:
        return missing
    promised = _SHORT_CHUNK.search(sound.extra_info)
    if promised:
        expected, found = int(promised[1]), int(promised[2])
        if found < expected < UNKNOWN_LENGTH:
            return f"its header promises {expected} bytes of audio and {found} are there"
    try:
        sound.seek(_certain_frames(sound) - 1)
        has_last = len(sound.read(1)) == 1
        sound.seek(0)
    except soundfile.LibsndfileError:
        has_last = False
    return None if has_last else f"its header promises {sound.frames / sound.samplerate:.2f} s and the end is not there"


def _certain_frames(sound: Any) -> int:  # noqa: ANN401
    """Frames that must be there: an MP3's length is an estimate, that of other formats is counted."""
    return max(1, sound.frames * 9 // 10) if sound.format == "MP3" else int(sound.frames)


def _check_finite(path: Path, sound: Any) -> None:  # noqa: ANN401
    """Read a floating-point file once: what is not a number must be told before the first hint."""
    position = 0
    for block in sound.blocks(blocksize=1 << 16, dtype="float32", always_2d=True):
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if bad.size:
            raise AudioError(
                f"{path} has a sample that is not a finite number at "
                f"{(position + int(bad[0])) / sound.samplerate:.3f} s; "
                f"export it again as 16-bit PCM."
            )
        position += len(block)
    sound.seek(0)


def _broken_at(path: Path, second: float, reason: str) -> AudioError:
    return AudioError(f"{path} cannot be read beyond {second:.2f} s ({reason.rstrip('.')}); copy or convert it again.")


class StdinSource:
    """Raw s16le mono on standard input, passed on as it arrives.

    Raises:
        AudioError: standard input is a terminal, holds nothing, or holds an audio file with a header.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE, stream: BinaryIO | None = None) -> None:
        self.format = AudioFormat(sample_rate=sample_rate, channels=1)
        self._stream = _unbuffered_stdin() if stream is None else stream
        if self._stream.isatty():
            raise AudioError(
                f"standard input is a terminal; pipe raw s16le into it: "
                f"ffmpeg -i INPUT -f s16le -ar {sample_rate} -ac 1 - | termcue listen - --sample-rate {sample_rate}"
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
