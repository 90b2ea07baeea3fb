"""The audio of a row: exactly its stretch, checked."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.audio_files import check_complete
from streaming.errors import AudioError as StreamError
from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from streaming.spans import FRAME_SAMPLES
from training.corpus.examples import Example, TermSpan
from training.corpus.paths import why_no_file

_LEAST_SAMPLES = 2 * FRAME_SAMPLES
_LATE_SAMPLES = SAMPLE_RATE // 20


class AudioError(TermCueError):
    """Audio of a row that cannot be used; the message names the file, the row and the reason."""

    def __init__(self, example: Example, reason: str) -> None:
        super().__init__(f"{example.audio} (row {example.example_id}): {reason}")
        self.example, self.reason = example, reason

    def __reduce__(self) -> tuple[type["AudioError"], tuple[Example, str]]:
        """For the way back from a process that reads audio."""
        return AudioError, (self.example, self.reason)


class Header(NamedTuple):
    """What a file says of itself."""

    frames: int
    rate: int
    channels: int


def read_header(path: Path, *, whole: bool) -> Header:
    """The header of an audio file; raises ValueError that says why there is none.

    Args:
        path: the file.
        whole: its end must be there too, which the header alone does not show.
    """
    if (absence := why_no_file(path)) is not None:
        raise ValueError(absence)
    try:
        with soundfile.SoundFile(str(path)) as sound:
            if whole and sound.frames:
                check_complete(path, sound)
            return Header(sound.frames, sound.samplerate, sound.channels)
    # A TypeError: the name *.raw, which libsndfile reads only if told what it holds.
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise ValueError(f"cannot be read ({error})") from error
    except StreamError as error:
        raise ValueError(str(error).removeprefix(f"{path} ").partition(";")[0]) from error


def late_term(terms: Iterable[TermSpan], samples: int) -> str | None:
    """What is wrong where a term ends more than 0.05 s after its audio of `samples` does; None where none does."""
    late = next((term for term in terms if term.end_sample > samples + _LATE_SAMPLES), None)
    if late is None:
        return None
    return (
        f"the term {late.term!r} ends at {late.end_sample / SAMPLE_RATE:.3f} s, after its audio of "
        f"{samples / SAMPLE_RATE:.3f} s"
    )


def length_of(example: Example) -> int:
    """Samples of the row's stretch, from the file's header alone.

    Raises:
        AudioError: no such file, another format, cut short, or a term that ends after it.
    """
    try:
        header = read_header(example.audio, whole=not example.samples)
    except ValueError as error:
        raise AudioError(example, f"{error}; restore it or remove the row") from error
    if header.rate != SAMPLE_RATE or header.channels != 1:
        raise AudioError(example, f"{header.rate} Hz, {header.channels} channels; make it 16000 Hz mono first")
    left = header.frames - example.start_sample
    samples = example.samples or left
    if not _LEAST_SAMPLES <= samples <= left:
        raise AudioError(
            example,
            f"the row wants samples {example.start_sample} to {example.start_sample + samples}, at least "
            f"{_LEAST_SAMPLES} of them, and the file has {header.frames}; mend or remove the row",
        )
    if (reason := late_term(example.terms, samples)) is not None:
        raise AudioError(example, f"{reason}; mend or remove the row")
    return int(samples)


def read_stretch(example: Example) -> NDArray[np.float32]:
    """float32[samples] of the row at 16 kHz.

    Raises:
        AudioError: no such file, another format, cut short, silent, or not finite.
    """
    if (absence := why_no_file(example.audio)) is not None:
        raise AudioError(example, f"{absence}; restore it or remove the row")
    try:
        audio, rate = soundfile.read(
            str(example.audio), example.samples or -1, example.start_sample, dtype="float32", always_2d=False
        )
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise AudioError(example, f"cannot be read ({error}); restore it or remove the row") from error
    if rate != SAMPLE_RATE or audio.ndim != 1:
        raise AudioError(example, f"{rate} Hz, shape {audio.shape}; make it 16000 Hz mono first")
    if len(audio) < max(example.samples, _LEAST_SAMPLES):
        raise AudioError(example, f"holds {len(audio)} of {example.samples} samples; it was cut short")
    if not np.isfinite(audio).all():
        raise AudioError(example, "holds NaN or infinite samples")
    if not audio.any():
        raise AudioError(example, "is silent")
    return np.asarray(audio, np.float32)
