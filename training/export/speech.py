"""Recordings -> contexts of speech, spread evenly over all that was given: the background of an exported folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streaming.errors import AudioError, SettingError
from streaming.events import SAMPLE_RATE

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})
# Below this peak a context is silence, against which every form would fit equally badly.
_SILENCE = 1e-3


@dataclass(frozen=True, slots=True)
class _Recording:
    path: Path
    rate: int
    contexts: int


def contexts_of(paths: Sequence[Path], samples: int, most: int) -> list[NDArray[np.float32]]:
    """Cut speech into contexts.

    Args:
        paths: recordings of any rate, or folders of them (`SUFFIXES`), searched to the bottom in the order of names.
        samples: length of a context at 16 kHz.
        most: at most so many contexts, taken at equal distances.

    Returns:
        float32[samples] each.

    Raises:
        AudioError: a recording that cannot be read.
        SettingError: no recording holds a whole context that is not silent.
    """
    recordings = [_opened(path, samples) for path in _files(paths)]
    places = [(recording, number) for recording in recordings for number in range(recording.contexts)]
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int).tolist()
    contexts = [_cut(recording, number, samples) for recording, number in (places[i] for i in chosen)]
    heard = [context for context in contexts if np.abs(context).max() > _SILENCE]
    if not heard:
        listed = ", ".join(map(str, paths)) or "nothing"
        raise SettingError(
            f"no speech of at least {samples / SAMPLE_RATE:g} s is in {listed}; give recordings "
            f"({', '.join(sorted(SUFFIXES))}) or folders of them"
        )
    return heard


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        found += inside if path.is_dir() else [path]
    return found


def _opened(path: Path, samples: int) -> _Recording:
    try:
        header = soundfile.info(str(path))
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(f"{path}: cannot be read ({error}); restore it or leave it out") from error
    return _Recording(path, header.samplerate, int(header.frames / header.samplerate * SAMPLE_RATE) // samples)


def _cut(recording: _Recording, number: int, samples: int) -> NDArray[np.float32]:
    length = samples * recording.rate / SAMPLE_RATE
    try:
        audio, rate = soundfile.read(
            str(recording.path), int(np.ceil(length)), round(number * length), dtype="float32", always_2d=True
        )
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(f"{recording.path}: cannot be read ({error}); restore it or leave it out") from error
    mono = np.nan_to_num(audio.mean(axis=1))
    resampled = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    context = np.zeros(samples, np.float32)
    context[: len(resampled)] = resampled[:samples]
    return context
