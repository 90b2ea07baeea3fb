"""The rolling context: the newest stretch of the stream, what one pass of the encoder sees."""

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError


class RollingContext:
    """The last `context_samples` samples of a stream in a buffer of fixed size.

    The buffer is twice as long as the context: samples are written side by side and the newest context is moved to the
    front when the buffer is full, so that appending costs no more than copying each sample twice.

    Raises SettingError for a context of no samples.
    """

    _filled: int
    _end: int

    def __init__(self, context_samples: int) -> None:
        if context_samples < 1:
            raise SettingError(f"a context of {context_samples} samples holds nothing: give at least 1")
        self._size = context_samples
        self._buffer = np.zeros(2 * context_samples, np.float32)
        self.reset()

    @property
    def end_sample(self) -> int:
        """How many samples the stream has had; the position just after the newest one."""
        return self._end

    def append(self, samples: NDArray[np.float32]) -> None:
        """Take float32[n], any n."""
        self._end += len(samples)
        newest = samples[-self._size :]
        if self._filled + len(newest) > len(self._buffer):
            kept = self._size
            self._buffer[:kept] = self._buffer[self._filled - kept : self._filled]
            self._filled = kept
        self._buffer[self._filled : self._filled + len(newest)] = newest
        self._filled += len(newest)

    def latest(self) -> tuple[NDArray[np.float32], int]:
        """A copy of the newest context, float32[context_samples], and the sample it starts at.

        Before the stream is as long as the context, zeros stand on its left and the start is negative.
        """
        return self._buffer[self._filled - self._size : self._filled].copy(), self._end - self._size

    def reset(self) -> None:
        """Forget everything: the next sample is sample 0."""
        self._buffer[:] = 0.0
        self._filled = self._size
        self._end = 0
