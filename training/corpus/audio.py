"""The audio of a row: exactly its stretch, checked."""

import numpy as np
import soundfile
from numpy.typing import NDArray

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from streaming.spans import FRAME_SAMPLES
from training.corpus.examples import Example

_LEAST_SAMPLES = 2 * FRAME_SAMPLES


class AudioError(TermCueError):
    """Audio of a row that cannot be used; the message names the file, the row and the reason."""

    def __init__(self, example: Example, reason: str) -> None:
        super().__init__(f"{example.audio} (row {example.example_id}): {reason}")
        self.example, self.reason = example, reason

    def __reduce__(self) -> tuple[type["AudioError"], tuple[Example, str]]:
        """For the way back from a process that reads audio."""
        return AudioError, (self.example, self.reason)


def length_of(example: Example) -> int:
    """Samples of the row's stretch, from the file's header alone. Raises AudioError."""
    try:
        header = soundfile.info(str(example.audio))
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(example, f"cannot be read ({error}); restore it or remove the row") from error
    if header.samplerate != SAMPLE_RATE or header.channels != 1:
        raise AudioError(example, f"{header.samplerate} Hz, {header.channels} channels; make it 16000 Hz mono first")
    left = header.frames - example.start_sample
    samples = example.samples or left
    if not _LEAST_SAMPLES <= samples <= left:
        raise AudioError(
            example,
            f"the row wants samples {example.start_sample} to {example.start_sample + samples}, at least "
            f"{_LEAST_SAMPLES} of them, and the file has {header.frames}; mend or remove the row",
        )
    return int(samples)


def read_stretch(example: Example) -> NDArray[np.float32]:
    """float32[samples] of the row at 16 kHz.

    Raises:
        AudioError: no such file, another format, cut short, silent, or not finite.
    """
    try:
        audio, rate = soundfile.read(
            str(example.audio), example.samples or -1, example.start_sample, dtype="float32", always_2d=False
        )
    except (OSError, soundfile.SoundFileError) as error:
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
