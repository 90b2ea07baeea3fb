"""What happens to speech between mouth and wire (`training.speech.augmentation`), to a whole batch on its device.

All functions are pure: float32[n, samples] at 16 kHz and what is asked of each row in, the same shape out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from streaming.events import SAMPLE_RATE

_LONGEST_DECAY_S = 0.7
# Natural logarithm of 60 dB, by which the tail of a room has died.
_DIED = 6.9
_TELEPHONE_HERTZ = (300.0, 3400.0)
_MU = 255.0
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class BatchEffects:
    """Shares of the rows that each change happens to, all of them times `share`, and ranges of what is drawn."""

    share: float = 0.7
    reverb_share: float = 0.45
    babble_share: float = 0.25
    noise_share: float = 0.7
    telephone_share: float = 0.35
    level_share: float = 1.0
    decay_s: tuple[float, float] = (0.1, _LONGEST_DECAY_S)
    wet_db: tuple[float, float] = (-14.0, -2.0)
    babble_db: tuple[float, float] = (8.0, 25.0)
    slope: tuple[float, float] = (0.0, 2.0)
    snr_db: tuple[float, float] = (3.0, 30.0)
    level_db: tuple[float, float] = (-34.0, -12.0)


def change_speed(audio: Tensor, samples: int) -> Tensor:
    """float32[n, m] -> [n, samples]: faster by m / samples; pitch moves with it, as with a tape."""
    spectrum = torch.fft.rfft(audio)
    bins = samples // 2 + 1
    fitted = torch.nn.functional.pad(spectrum[:, :bins], (0, max(0, bins - spectrum.shape[1])))
    changed: Tensor = torch.fft.irfft(fitted, samples) * (samples / audio.shape[1])
    return changed


def coloured_noise(samples: int, slope: Tensor, generator: torch.Generator) -> Tensor:
    """Noise whose power falls with frequency to the power `slope`, float32[n, 1] (0 white, 2 brown); unit deviation."""
    white = torch.randn(len(slope), samples, generator=generator, device=slope.device)
    spectrum = torch.fft.rfft(white)
    hertz = torch.arange(spectrum.shape[1], device=slope.device).clamp(min=1)
    noise: Tensor = torch.fft.irfft(spectrum / hertz ** (slope / 2), samples)
    return noise / (_deviation(noise) + _LEAST)


def add_at_snr(audio: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """The sum, with the noise scaled to the ratio of mean powers asked for, float32[n, 1]."""
    return audio + noise * (_deviation(audio) / (_deviation(noise) + _LEAST) * _amplitude(-snr_db))


def room(decay_s: Tensor, wet_db: Tensor, generator: torch.Generator) -> Tensor:
    """Responses of synthetic rooms, float32[n, 0.7 s]: a direct path and a noise tail that dies exponentially.

    Args:
        decay_s: float32[n, 1], until the tail is 60 dB down and cut off; at most 0.7.
        wet_db: float32[n, 1], energy of the tail against that of the direct path.
        generator: on their device.
    """
    time = torch.arange(round(_LONGEST_DECAY_S * SAMPLE_RATE), device=decay_s.device) / SAMPLE_RATE
    noise = torch.randn(len(decay_s), len(time), generator=generator, device=decay_s.device)
    response: Tensor = noise * torch.exp(-_DIED * time / decay_s) * (time < decay_s)
    response = response * _amplitude(wet_db) / (response.square().sum(dim=1, keepdim=True).sqrt() + _LEAST)
    response[:, 0] = 1.0
    return response


def reverberate(audio: Tensor, response: Tensor) -> Tensor:
    """Each row as heard in the room of its response float32[n, k]."""
    samples = audio.shape[1]
    size = 1 << (samples + response.shape[1]).bit_length()
    wet: Tensor = torch.fft.irfft(torch.fft.rfft(audio, size) * torch.fft.rfft(response, size), size)
    return wet[:, :samples]


def telephone(audio: Tensor) -> Tensor:
    """300 to 3400 Hz through eight-bit mu-law (ITU-T G.711) and back."""
    spectrum = torch.fft.rfft(audio)
    hertz = torch.arange(spectrum.shape[1], device=audio.device) * (SAMPLE_RATE / audio.shape[1])
    low, high = _TELEPHONE_HERTZ
    narrow: Tensor = torch.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), audio.shape[1])
    peak = narrow.abs().amax(dim=1, keepdim=True) + _LEAST
    whole = math.log1p(_MU)
    companded = torch.round(torch.log1p(_MU * (narrow / peak).abs()) / whole * 127) / 127
    return torch.sign(narrow) * torch.expm1(companded * whole) / _MU * peak


def set_level(audio: Tensor, level_db: Tensor) -> Tensor:
    """Scale to a root mean square of `level_db` dBFS, float32[n, 1], clipped to the range of 16-bit samples."""
    rms = audio.square().mean(dim=1, keepdim=True).sqrt()
    return (audio * (_amplitude(level_db) / (rms + 1e-6))).clamp(-1.0, 1.0)


def spoil(audio: Tensor, effects: BatchEffects, generator: torch.Generator) -> Tensor:
    """One random chain over each row; the babble in a row is the clean speech of another one.

    Args:
        audio: float32[n, samples].
        effects: how often, how much.
        generator: on the device of the audio; the same state gives the same result there.
    """
    rows = len(audio)

    def drawn(bounds: tuple[float, float]) -> Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(rows, 1, generator=generator, device=audio.device)

    def some(changed: Tensor, others: Tensor, share: float) -> Tensor:
        return torch.where(drawn((0.0, 1.0)) < share * effects.share, changed, others)

    response = room(drawn(effects.decay_s), drawn(effects.wet_db), generator)
    heard = some(reverberate(audio, response), audio, effects.reverb_share)
    if rows > 1:
        shift = 1 + int(torch.randint(rows - 1, (1,), generator=generator, device=audio.device))
        babble = audio.roll(shift, 0)
        heard = some(add_at_snr(heard, babble, drawn(effects.babble_db)), heard, effects.babble_share)
    noise = coloured_noise(audio.shape[1], drawn(effects.slope), generator)
    heard = some(add_at_snr(heard, noise, drawn(effects.snr_db)), heard, effects.noise_share)
    heard = some(telephone(heard), heard, effects.telephone_share)
    return some(set_level(heard, drawn(effects.level_db)), heard.clamp(-1.0, 1.0), effects.level_share)


def _deviation(audio: Tensor) -> Tensor:
    return audio.std(dim=1, correction=0, keepdim=True)


def _amplitude(decibels: Tensor) -> Tensor:
    return torch.pow(10.0, decibels / 20)
