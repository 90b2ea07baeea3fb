"""Notices audio whose sample rate is not the declared one, from how fast it comes and how it sounds.

48 kHz declared as 16 kHz comes three times too fast, and all of it lies in the lowest third of the spectrum. Both signs
can mislead, so that a stream is warned about and goes on.
"""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from streaming.framing import Framer

# Real rates over declared ones: 48, 44.1 and 32 kHz as 16 kHz; 8 kHz as 16 kHz; 16 kHz as 48 kHz.
_RATIOS = (3.0, 2.75625, 2.0, 0.5, 1 / 3)
# Other rates than these are not sent by anybody.
_LEAST_HZ, _MOST_HZ = 8_000, 48_000
_WINDOW_S, _PART_S = 10.0, 2.0
_RATIO_TOLERANCE = 0.03
# A sender that leaves silence out, or sends in bursts, may come near a ratio by chance, but not in every part.
_PART_TOLERANCE = 0.15

_FFT_SAMPLES = 512
_BLOCK_FRAMES = 10 * SAMPLE_RATE // _FFT_SAMPLES
_EDGE_HZ = 2_700
# Loudest sound above the edge against the loudest of all. Real speech has -36 dB at least, -45 dB over a telephone.
_SILENT_DB = -55.0
# Sound above the edge that never moves is noise, as a microphone's: then there is no speech above it.
_NOISE_DB, _NOISE_SPREAD_DB = -30.0, 3.0
_AUDIBLE_DB = -50.0
_RANGE_DB = 30.0
# The level of speech moves by 8 dB, by 4 dB at least; that of hum and noise by less than 2 dB.
_LEAST_SPREAD_DB = 4.0
_LEAST_LOUD_FRAMES = 100
_BLOCKS_IN_A_ROW, _MOST_BLOCKS = 2, 6


class SampleRateCheck:
    """Judges one stream; cheap enough to hear all of it. Not safe for concurrent use."""

    def __init__(self, sample_rate: int) -> None:
        """For audio that was declared to have `sample_rate` samples a second."""
        self._sample_rate = sample_rate
        ratios = [ratio for ratio in _RATIOS if _LEAST_HZ <= round(sample_rate * ratio) <= _MOST_HZ]
        self._arrival = _Arrival(ratios)
        self._spectrum = _Spectrum() if _RATIOS[0] in ratios else None
        self._has_told = False

    def feed(self, samples: NDArray[np.float32], now_s: float | None) -> str | None:
        """Hear what came.

        Args:
            samples: float32[n] at 16 kHz, as the declared rate makes it.
            now_s: when it came, in seconds from any origin; None where it does not come as it is spoken.

        Returns:
            What to warn of, once in a stream; None for nothing.
        """
        if self._has_told:
            return None
        if now_s is not None:
            self._arrival.feed(len(samples) / SAMPLE_RATE, now_s)
        is_missing = self._spectrum is not None and self._spectrum.feed(samples)
        ratio = self._arrival.ratio
        if ratio is not None:
            sign = f"comes {ratio:.2f} times as fast as it is spoken"
        elif is_missing and not self._arrival.is_live:
            ratio, sign = _RATIOS[0], f"has nothing above {_EDGE_HZ / 1000:g} kHz"
        else:
            return None
        self._has_told = True
        return (
            f"audio declared as {self._sample_rate} Hz {sign}, as audio of {self._sample_rate * ratio:.0f} Hz would: "
            f"check sample_rate"
        )


class _Arrival:
    """How fast audio comes.

    Attributes:
        ratio: one of the known ratios, as soon as audio came so fast all through a window.
        is_live: whether it came as fast as it is spoken in the last window.
    """

    def __init__(self, ratios: Sequence[float]) -> None:
        self._ratios = ratios
        self.ratio: float | None = None
        self.is_live = False
        self._came: deque[tuple[float, float]] = deque()
        self._heard_s = 0.0
        self._next_look_s: float | None = None

    def feed(self, audio_s: float, now_s: float) -> None:
        if self._next_look_s is None:
            # When the first chunk began to come is not known: the clock starts behind it.
            self._came.append((now_s, 0.0))
            self._next_look_s = now_s + _WINDOW_S
            return
        self._heard_s += audio_s
        self._came.append((now_s, self._heard_s))
        while now_s >= self._next_look_s:
            self._look(self._next_look_s)
            self._next_look_s += _PART_S if now_s - self._next_look_s < _WINDOW_S else now_s - self._next_look_s

    def _look(self, until_s: float) -> None:
        edges = until_s - _WINDOW_S + np.arange(0, _WINDOW_S + _PART_S / 2, _PART_S)
        while len(self._came) > 1 and self._came[1][0] <= edges[0]:
            self._came.popleft()
        times, heard = zip(*self._came, strict=True)
        parts = [(after - before) / _PART_S for before, after in pairwise(np.interp(edges, times, heard).tolist())]
        self.is_live = _is_steady(parts, 1.0)
        self.ratio = next((ratio for ratio in self._ratios if _is_steady(parts, ratio)), None)


def _is_steady(parts: list[float], ratio: float) -> bool:
    mean = sum(parts) / len(parts)
    return abs(mean / ratio - 1) <= _RATIO_TOLERANCE and all(abs(p / ratio - 1) <= _PART_TOLERANCE for p in parts)


class _Spectrum:
    """Whether speech lacks what lies above the edge, by blocks of ten seconds in which there is speech."""

    def __init__(self) -> None:
        self._framer = Framer(_FFT_SAMPLES)
        self._window = np.hanning(_FFT_SAMPLES).astype(np.float32)
        self._edge = _EDGE_HZ * _FFT_SAMPLES // SAMPLE_RATE
        self._frames: list[NDArray[np.float32]] = []
        self._blocks = 0
        self._missing_in_a_row = 0

    def feed(self, samples: NDArray[np.float32]) -> bool:
        """float32[n] -> whether several blocks in a row lacked it."""
        if self._missing_in_a_row < _BLOCKS_IN_A_ROW and self._blocks < _MOST_BLOCKS:
            self._frames += self._framer.feed(samples)
            while len(self._frames) >= _BLOCK_FRAMES:
                self._judge(np.stack(self._frames[:_BLOCK_FRAMES]))
                del self._frames[:_BLOCK_FRAMES]
        return self._missing_in_a_row >= _BLOCKS_IN_A_ROW

    def _judge(self, frames: NDArray[np.float32]) -> None:
        """float32[n, 512], a block, which counts only if it holds speech."""
        levels = 10 * np.log10(np.mean(frames * frames, axis=1) + 1e-12)
        loud = (levels > _AUDIBLE_DB) & (levels > np.percentile(levels, 95) - _RANGE_DB)
        if np.count_nonzero(loud) < _LEAST_LOUD_FRAMES or levels[loud].std() < _LEAST_SPREAD_DB:
            return
        power = np.abs(np.fft.rfft(frames * self._window, axis=1)) ** 2 + 1e-12
        above = power[:, self._edge :].sum(axis=1)
        usual, loudest = np.percentile(above, (25, 98))
        height_db = 10 * np.log10(loudest / np.percentile(power.sum(axis=1), 98))
        spread_db = 10 * np.log10(loudest / usual)
        is_missing = height_db < _SILENT_DB or (height_db < _NOISE_DB and spread_db < _NOISE_SPREAD_DB)
        self._blocks += 1
        self._missing_in_a_row = self._missing_in_a_row + 1 if is_missing else 0
