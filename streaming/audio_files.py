"""An audio file, opened by libsndfile and checked to its last sample before anything of it is used."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from streaming.audio import AudioFormat
from streaming.containers import missing_end
from streaming.errors import AudioError
from streaming.events import SAMPLE_RATE

MAX_CHANNELS = 2
PIPE_TO = "termcue listen -"
"""What takes raw audio on standard input, unless another command asks."""
# A WAV written to a pipe cannot know its length and says a number near the end of its 31 or 32 bits.
UNKNOWN_LENGTH = 2**31 - 2**16
_SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)


def check_readable(path: Path) -> None:
    """Refuse what is no file, cannot be read or holds no byte. Raises AudioError that says which."""
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


# soundfile comes without type stubs, so its objects are `Any`.
def open_sound(path: Path, pipe_to: str = PIPE_TO) -> Any:  # noqa: ANN401
    """The file as an open `soundfile.SoundFile`.

    Raises:
        AudioError: libsndfile cannot read it; of a file without a header the cure is the command `pipe_to`.
    """
    import soundfile

    try:
        return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} is not audio that libsndfile can read ({error.error_string.rstrip('.')}); "
            f"convert it: ffmpeg -i INPUT -ar {SAMPLE_RATE} -ac 1 OUTPUT.wav"
        ) from error
    except TypeError as error:  # soundfile wants rate and channels for the name *.raw
        raise AudioError(f"{path} says nothing of its format; pipe it: {pipe_to} --sample-rate N < FILE") from error


def checked_format(path: Path, sound: Any) -> AudioFormat:  # noqa: ANN401
    """Rate and channels of an open file. Raises AudioError for one without samples, or that cannot be streamed."""
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
        sound.seek(certain_frames(sound) - 1)
        has_last = len(sound.read(1)) == 1
        sound.seek(0)
    except soundfile.LibsndfileError:
        has_last = False
    return None if has_last else f"its header promises {sound.frames / sound.samplerate:.2f} s and the end is not there"


def certain_frames(sound: Any) -> int:  # noqa: ANN401
    """Frames that must be there: an MP3's length is an estimate, that of other formats is counted."""
    return max(1, sound.frames * 9 // 10) if sound.format == "MP3" else int(sound.frames)


def check_finite(path: Path, sound: Any) -> None:  # noqa: ANN401
    """Read a floating-point file once: what is not a number must be told before the first hint.

    Args:
        path: the file.
        sound: its open `soundfile.SoundFile`, which stands at its start afterwards.

    Raises:
        AudioError: a sample is no finite number.
    """
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
