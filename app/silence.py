"""Says where nothing is heard but silence: a muted microphone looks like a program that does nothing."""

from collections.abc import Iterator

import numpy as np

from streaming.audio import AudioFormat
from streaming.sources import BYTES_PER_SAMPLE, Notify, Source

PATIENCE_S = 10.0
# Of 16-bit samples, -66 dBFS: below it lie the noises of converters, far above it a quiet room at any microphone.
_AUDIBLE = 16


class SilenceNoticed:
    """The same source, of which it is told in a sentence, at most once, that nothing can be heard in it.

    Args:
        source: the audio.
        notify: is told.
        cure: what is asked of the user.
        is_live: as soon as 10 s have come, for what goes on forever; else at the end, and only of all of it.
    """

    def __init__(self, source: Source, notify: Notify, cure: str, *, is_live: bool) -> None:
        self._source, self._notify, self._cure, self._is_live = source, notify, cure, is_live
        self._rest = b""
        self._frames = 0
        self._loudest_channel = 0

    @property
    def format(self) -> AudioFormat:
        """The format of the source behind."""
        return self._source.format

    def chunks(self) -> Iterator[bytes]:
        """The same chunks."""
        patience = PATIENCE_S * self.format.sample_rate if self._is_live else float("inf")
        is_listening = True
        for chunk in self._source.chunks():
            if is_listening:
                is_listening = not self._is_audible(chunk)
                if is_listening and self._frames >= patience:
                    is_listening = False
                    self._tell(f"in the first {PATIENCE_S:.0f} s")
            yield chunk
        if is_listening and self._frames:
            self._tell("from beginning to end")

    def _is_audible(self, chunk: bytes) -> bool:
        channels = self.format.channels
        heard = self._rest + chunk
        whole = len(heard) // (channels * BYTES_PER_SAMPLE)
        cut = whole * channels * BYTES_PER_SAMPLE
        self._rest = heard[cut:]
        if not whole:
            return False
        samples = np.frombuffer(heard[:cut], "<i2").reshape(whole, channels).astype(np.int32)
        self._frames += whole
        self._loudest_channel = max(self._loudest_channel, int(np.abs(samples).max()))
        return bool(np.abs(samples.sum(axis=1)).max() >= _AUDIBLE * channels)

    def _tell(self, when: str) -> None:
        cancels = "its channels cancel each other: turn one of them over, or give one alone"
        cure = cancels if self._loudest_channel >= _AUDIBLE else self._cure
        self._notify(f"warning: nothing but silence {when}; {cure}")
