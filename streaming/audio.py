"""Chunks of PCM bytes -> mono float32 samples at 16 kHz, however the bytes were split.

Nothing is rounded away between chunks: half samples, half stereo frames and the state of the resampler are kept.
"""

from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from streaming.context import RollingContext
from streaming.errors import AudioError
from streaming.events import SAMPLE_RATE

FloatArray: TypeAlias = NDArray[np.float32]

_MIN_RATE = 8_000
_MAX_RATE = 192_000
_MAX_CHANNELS = 2
_BYTES_PER_SAMPLE = 2
_FULL_SCALE = 32_768.0
# Twice the longest delay of the resampler (115 ms, at 8 kHz) with room to spare.
_TAIL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How the bytes of a stream are to be read: `sample_rate` in Hz, `channels` interleaved, `encoding` of a sample.

    Raises AudioError for a format that cannot be streamed.
    """

    sample_rate: int = SAMPLE_RATE
    channels: int = 1
    encoding: str = "linear16"

    def __post_init__(self) -> None:
        if not _MIN_RATE <= self.sample_rate <= _MAX_RATE:
            raise AudioError(
                f"a sample rate of {self.sample_rate} Hz cannot be streamed: resample to {_MIN_RATE}..{_MAX_RATE} Hz"
            )
        if not 1 <= self.channels <= _MAX_CHANNELS:
            raise AudioError(f"{self.channels} channels cannot be streamed: mix down to mono or stereo")
        if self.encoding != "linear16":
            raise AudioError(f"encoding {self.encoding!r} is not known: send linear16 (signed 16-bit little-endian)")

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * _BYTES_PER_SAMPLE


def float_to_pcm16(samples: FloatArray) -> bytes:
    """float32[n] -> n signed 16-bit little-endian samples; what lies outside -1..1 is clipped.

    Raises AudioError for NaN or infinity.
    """
    if not np.isfinite(samples).all():
        raise AudioError("audio holds NaN or infinite samples: export the recording again")
    scaled = np.rint(samples * np.float32(_FULL_SCALE))
    clipped: NDArray[np.int16] = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    return clipped.tobytes()


class PcmDecoder:
    """Bytes of one stream -> float32 samples in -1..1, mono, 16 kHz; any split of the bytes gives the same samples."""

    _rest: bytes
    _received_frames: int
    _decoded: int

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._resampler = None if audio_format.sample_rate == SAMPLE_RATE else _resampler(audio_format.sample_rate)
        # A stretch of input that starts on a multiple of the period starts on a whole output sample.
        self._period = audio_format.sample_rate // gcd(audio_format.sample_rate, SAMPLE_RATE)
        self._tail = RollingContext(int(audio_format.sample_rate * _TAIL_SECONDS) + self._period)
        self.reset()

    @property
    def received_samples(self) -> int:
        """Length of the stream so far in samples at 16 kHz, the ones the resampler still holds included."""
        rate = self._format.sample_rate
        return (2 * self._received_frames * SAMPLE_RATE + rate) // (2 * rate)

    def feed(self, chunk: bytes) -> FloatArray:
        """Bytes of any length, down to none or half a sample -> the float32[n] that can be told by now."""
        buffered = self._rest + chunk
        whole = len(buffered) - len(buffered) % self._format.bytes_per_frame
        self._rest = buffered[whole:]
        mono = self._mono(buffered[:whole])
        self._received_frames += len(mono)
        if self._resampler is None or not len(mono):
            samples = mono
        else:
            self._tail.append(mono)
            samples = np.asarray(self._resampler.resample_chunk(mono), np.float32)
        self._decoded += len(samples)
        return samples

    def pending(self) -> FloatArray:
        """The float32[k] that the resampler still holds, told as if silence followed; the stream is left untouched."""
        missing = self.received_samples - self._decoded
        if missing <= 0:
            return np.zeros(0, np.float32)
        tail, start = self._tail.latest()
        skipped = -start % self._period
        resampled = _resampler(self._format.sample_rate).resample_chunk(tail[skipped:], last=True)
        return np.asarray(resampled[len(resampled) - missing :], np.float32)

    def finish(self) -> FloatArray:
        """The last float32[k] of the stream; half a sample at the very end is no sample and is dropped."""
        if self._resampler is None or not self._received_frames:
            return np.zeros(0, np.float32)
        samples = np.asarray(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)
        self._decoded += len(samples)
        return samples

    def reset(self) -> None:
        """Forget everything: the next byte is the first of a new stream."""
        self._rest = b""
        self._received_frames = 0
        self._decoded = 0
        self._tail.reset()
        if self._resampler is not None:
            self._resampler.clear()

    def _mono(self, whole_frames: bytes) -> FloatArray:
        samples = np.frombuffer(whole_frames, "<i2").astype(np.float32)
        if self._format.channels == 2:
            samples = samples[0::2] + samples[1::2]
        # A product with a power of two is exact, so that no bit of a 16-bit sample is lost.
        return samples * np.float32(1.0 / (_FULL_SCALE * self._format.channels))


def _resampler(sample_rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
