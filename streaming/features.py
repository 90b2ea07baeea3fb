"""Log-mel features in numpy, equal to the Whisper feature extractor at the true length of the audio.

Source of the constants: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022),
section 2.2: 80 mel bins (128 since large-v3, and in Qwen2-Audio), 25 ms windows, hop 10 ms at 16 kHz; Slaney's mel
scale and area normalisation.
"""

import numpy as np
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE

WINDOW = 400
HOP = 160
MEL_BINS = 80
# Of a bin in which nothing is heard.
_LEAST_POWER = 1e-10


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    return np.where(mel < 15.0, mel * (200.0 / 3.0), 1000.0 * np.exp((mel - 15.0) * (np.log(6.4) / 27.0)))


def mel_filters(mel_bins: int = MEL_BINS) -> NDArray[np.float32]:
    """Triangular filters float32[201, mel_bins], each of unit area."""
    top_mel = 15.0 + np.log(SAMPLE_RATE / 2 / 1000.0) / (np.log(6.4) / 27.0)
    edges = _mel_to_hertz(np.linspace(0.0, top_mel, mel_bins + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[None, 1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[None, :]).astype(np.float32)


class RawLogMel:
    """The newest log-mel frames of a stretch, before they are brought to the scale that an encoder hears."""

    def __init__(self, mel_bins: int = MEL_BINS) -> None:
        self.bins = mel_bins
        self._filters = mel_filters(mel_bins)
        self._window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)

    def __call__(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """The last `frames` frames of float32[n] at 16 kHz, as float32[frames, mel_bins].

        Beyond its ends the stretch is mirrored. Raises ValueError for fewer than 201 samples.
        """
        if len(samples) <= WINDOW // 2:
            raise ValueError(f"{len(samples)} samples are too few for one window; {WINDOW // 2 + 1} is the least")
        before = len(samples) // HOP * HOP - frames * HOP
        left = min(before, WINDOW // 2)
        padded = np.pad(samples[before - left :], (WINDOW // 2 - left, WINDOW // 2), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
        spectrum = np.fft.rfft(windows * self._window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        log_mel: NDArray[np.float32] = np.log10(np.maximum(power.astype(np.float32) @ self._filters, _LEAST_POWER))
        return log_mel


class LogMel:
    """float32[n] at 16 kHz -> float32[mel_bins, n // 160]."""

    def __init__(self, mel_bins: int = MEL_BINS) -> None:
        self._raw = RawLogMel(mel_bins)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of one context; raises ValueError for fewer than 201 samples."""
        raw = self._raw(samples, len(samples) // HOP)
        return np.ascontiguousarray(_scaled(raw, raw.max()).T, dtype=np.float32)


class MelScale:
    """Brings the frames of a stream to the encoder's scale: to 8 decades below the loudest of the last `frames`.

    A frame keeps for life the scale of the moment in which it came.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._loudest = np.full(0, np.log10(_LEAST_POWER), np.float32)

    def __call__(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next frames, float32[n, mel_bins] of `RawLogMel`, to scale."""
        self._loudest = np.concatenate([self._loudest, raw.max(axis=1)])[-self._frames :]
        return _scaled(raw, self._loudest.max())

    @property
    def silence(self) -> float:
        """What a frame without any sound would be now."""
        least = np.full(1, np.log10(_LEAST_POWER), np.float32)
        return float(_scaled(least, self._loudest.max(initial=least[0]))[0])

    def copy(self) -> "MelScale":
        """An equal scale that goes its own way."""
        other = MelScale(self._frames)
        other._loudest = self._loudest
        return other


def _scaled(raw: NDArray[np.float32], loudest: np.float32) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (np.maximum(raw, loudest - np.float32(8)) + np.float32(4)) / np.float32(4)
    return scaled
