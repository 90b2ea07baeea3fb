"""Says where nothing can be heard: a muted microphone looks like a program that does nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.speech_sought import SpeechSought
from streaming.audio import AudioFormat
from streaming.sources import BYTES_PER_SAMPLE, Notify, Source

PATIENCE_S = 10.0
# Of 16-bit samples, -66 dBFS: below it lie the noises of converters, far above it a quiet room at any microphone.
_AUDIBLE = 16
# Shorter than any word.
_SHORT_S = 0.1


@dataclass(frozen=True, slots=True)
class Cures:
    """What is asked of the user where nothing but silence comes, and where nobody spoke in what has ended."""

    silent: str
    speechless: str = ""


class SilenceNoticed:
    """The same source, of which it is told in a sentence, at most once, that nothing can be heard in it.

    Args:
        source: the audio.
        notify: is told.
        cures: what is asked of the user.
        is_live: of silence it is told as soon as 10 s have come, for what goes on forever; else at the end, and only of
            all of it, as of sound without speech.
    """

    def __init__(self, source: Source, notify: Notify, cures: Cures, *, is_live: bool) -> None:
        self._source, self._notify, self._cures, self._is_live = source, notify, cures, is_live
        self._rest = b""
        self._frames = 0
        self._swing = _Swing(source.format.channels)
        self._speech = SpeechSought(source.format)

    @property
    def format(self) -> AudioFormat:
        """The format of the source behind."""
        return self._source.format

    def chunks(self) -> Iterator[bytes]:
        """The same chunks."""
        patience_s = PATIENCE_S if self._is_live else float("inf")
        is_listening = True
        for chunk in self._source.chunks():
            if is_listening:
                self._hear(chunk)
                is_listening = not (self._swing.is_audible and self._speech.is_found)
                if not self._swing.is_audible and self._seconds >= patience_s:
                    is_listening = False
                    self._tell_silence(f"in the first {PATIENCE_S:.0f} s")
            yield chunk
        if is_listening and self._frames:
            self._tell_all()

    @property
    def _seconds(self) -> float:
        return self._frames / self.format.sample_rate

    def _hear(self, chunk: bytes) -> None:
        channels = self.format.channels
        heard = self._rest + chunk
        whole = len(heard) // (channels * BYTES_PER_SAMPLE)
        cut = whole * channels * BYTES_PER_SAMPLE
        self._rest = heard[cut:]
        self._frames += whole
        self._swing.feed(np.frombuffer(heard[:cut], "<i2").reshape(whole, channels))
        self._speech.feed(chunk)

    def _tell_all(self) -> None:
        """Of a source that has ended."""
        if self._seconds < _SHORT_S:
            self._notify(
                f"warning: only {1000 * self._seconds:.0f} ms of sound came, too short to hear anything in; "
                "is that the whole recording?"
            )
        elif not self._swing.is_audible:
            self._tell_silence("from beginning to end")
        elif self._seconds >= PATIENCE_S:
            self._notify(f"warning: no speech from beginning to end, though sound comes in; {self._cures.speechless}")

    def _tell_silence(self, when: str) -> None:
        cancels = "its channels cancel each other: turn one of them over, or give one alone"
        cure = cancels if self._swing.is_cancelled else self._cures.silent
        self._notify(f"warning: nothing but silence {when}; {cure}")


class _Swing:
    """How far samples move to each side, alone in their channels and mixed to one; where they stay makes no sound."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        # Of each channel, and last of their sum.
        self._lowest = np.full(channels + 1, np.inf)
        self._highest = np.full(channels + 1, -np.inf)

    def feed(self, samples: NDArray[np.int16]) -> None:
        """int16[n, channels], any n."""
        if len(samples):
            tracks = np.column_stack([samples, samples.sum(axis=1, dtype=np.int32)])
            self._lowest = np.minimum(self._lowest, tracks.min(axis=0))
            self._highest = np.maximum(self._highest, tracks.max(axis=0))

    @property
    def is_audible(self) -> bool:
        """Whether the mix can be heard."""
        return self._mixed >= _AUDIBLE

    @property
    def is_cancelled(self) -> bool:
        """Whether the mix cannot be heard though its channels could; of independent noises more than half is left."""
        alone = float(self._half()[:-1].mean())
        return not self.is_audible and alone >= _AUDIBLE and alone > 2 * self._mixed

    @property
    def _mixed(self) -> float:
        return float(self._half()[-1]) / self._channels

    def _half(self) -> NDArray[np.float64]:
        half: NDArray[np.float64] = (self._highest - self._lowest) / 2
        return half
