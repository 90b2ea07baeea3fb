"""What happens to speech between mouth and wire: speed, room, noise, babble, telephone, level.

All functions are pure: float32[n] at 16 kHz and a generator in, float32 out.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE

Audio = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Probabilities and ranges of each change."""

    reverb_share: float = 0.35
    noise_share: float = 0.6
    babble_share: float = 0.15
    telephone_share: float = 0.3
    snr_db: tuple[float, float] = (3.0, 30.0)
    level_db: tuple[float, float] = (-32.0, -12.0)


def change_speed(audio: Audio, factor: float) -> Audio:
    """Faster for a factor over 1; pitch moves with it, as with a tape."""
    return np.asarray(soxr.resample(audio, SAMPLE_RATE * factor, SAMPLE_RATE), np.float32)


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> Audio:
    """Noise whose power falls with frequency to the power `slope` (0 white, 1 pink, 2 brown); unit deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.maximum(1.0, np.arange(len(spectrum))) ** (slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / (noise.std() + 1e-9), np.float32)


def add_at_snr(audio: Audio, noise: Audio, snr_db: float) -> Audio:
    """The sum, with the noise scaled to the ratio of mean powers asked for."""
    gain = audio.std() / (noise.std() + 1e-9) * 10 ** (-snr_db / 20)
    mixed: Audio = audio + gain * noise
    return mixed


def reverberate(audio: Audio, rng: np.random.Generator) -> Audio:
    """A synthetic room: a direct path and an exponentially dying noise tail of 0.1 to 0.7 s."""
    decay = rng.uniform(0.1, 0.7)
    tail = int(decay * SAMPLE_RATE)
    response = rng.standard_normal(tail) * np.exp(-6.9 * np.arange(tail) / tail)
    response *= 10 ** (-rng.uniform(2, 14) / 20) / (np.linalg.norm(response) + 1e-9)
    response[0] = 1.0
    size = 1 << (len(audio) + tail).bit_length()
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)]
    return np.asarray(wet, np.float32)


def telephone(audio: Audio) -> Audio:
    """300 to 3400 Hz at 8 kHz through eight-bit mu-law (ITU-T G.711) and back."""
    narrow = soxr.resample(audio, SAMPLE_RATE, 8000)
    spectrum = np.fft.rfft(narrow)
    hertz = np.fft.rfftfreq(len(narrow), 1 / 8000)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(narrow))
    peak = np.abs(narrow).max() + 1e-9
    companded = np.sign(narrow) * np.log1p(255 * np.abs(narrow / peak)) / np.log(256)
    companded = np.round(companded * 127) / 127
    narrow = np.sign(companded) * np.expm1(np.abs(companded) * np.log(256)) / 255 * peak
    wide = soxr.resample(narrow, 8000, SAMPLE_RATE)
    return np.asarray(np.pad(wide, (0, max(0, len(audio) - len(wide))))[: len(audio)], np.float32)


def set_level(audio: Audio, level_db: float) -> Audio:
    """Scale to a root mean square of `level_db` dBFS, clipped to the range of 16-bit samples."""
    gain = 10 ** (level_db / 20) / (np.sqrt(np.mean(audio**2)) + 1e-6)
    return np.asarray(np.clip(audio * gain, -1.0, 1.0), np.float32)


def augment(audio: Audio, babble: Audio, config: AugmentationConfig, rng: np.random.Generator) -> Audio:
    """One random chain over a stretch of speech; `babble` is other speech of at least its length."""
    if rng.random() < config.reverb_share:
        audio = reverberate(audio, rng)
    if rng.random() < config.babble_share:
        audio = add_at_snr(audio, babble[: len(audio)], rng.uniform(8.0, 25.0))
    if rng.random() < config.noise_share:
        noise = coloured_noise(len(audio), rng.uniform(0.0, 2.0), rng)
        audio = add_at_snr(audio, noise, rng.uniform(*config.snr_db))
    if rng.random() < config.telephone_share:
        audio = telephone(audio)
    return set_level(audio, rng.uniform(*config.level_db))
