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


class LogMel:
    """float32[n] at 16 kHz -> float32[mel_bins, n // 160]."""

    def __init__(self, mel_bins: int = MEL_BINS) -> None:
        self._filters = mel_filters(mel_bins)
        self._window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of one context; raises ValueError for fewer than 201 samples."""
        if len(samples) <= WINDOW // 2:
            raise ValueError(f"{len(samples)} samples are too few for one window; {WINDOW // 2 + 1} is the least")
        padded = np.pad(samples, WINDOW // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
        spectrum = np.fft.rfft(frames * self._window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        log_mel = np.log10(np.maximum(power.astype(np.float32) @ self._filters, 1e-10))
        log_mel = np.maximum(log_mel, log_mel.max() - 8.0)
        return np.ascontiguousarray(((log_mel + 4.0) / 4.0).T, dtype=np.float32)
