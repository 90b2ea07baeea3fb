"""Samples of any number -> frames of a fixed number, for the voice detector and the encoder's hop."""

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError


class Framer:
    """Cuts a stream into frames of `frame_samples` samples; raises SettingError for frames of no samples."""

    _rest: NDArray[np.float32]

    def __init__(self, frame_samples: int) -> None:
        if frame_samples < 1:
            raise SettingError(f"frames of {frame_samples} samples hold nothing: give at least 1")
        self._size = frame_samples
        self.reset()

    @property
    def pending(self) -> NDArray[np.float32]:
        """The float32[k], k < frame_samples, that do not fill a frame yet."""
        return self._rest

    def feed(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """float32[n], any n -> the frames, float32[frame_samples] each, that are full by now."""
        buffered = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        count = len(buffered) // self._size
        # A copy, so that a short rest does not keep a long chunk alive.
        self._rest = buffered[count * self._size :].copy()
        return list(buffered[: count * self._size].reshape(count, self._size))

    def finish(self) -> list[NDArray[np.float32]]:
        """The rest as one frame, filled up with zeros; nothing where nothing is left."""
        if not len(self._rest):
            return []
        frame = np.zeros(self._size, np.float32)
        frame[: len(self._rest)] = self._rest
        self.reset()
        return [frame]

    def reset(self) -> None:
        """Forget the rest: the next sample is the first of a frame."""
        self._rest = np.zeros(0, np.float32)
