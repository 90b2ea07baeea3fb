"""Speech flags of successive frames -> bounds of speech segments, on the sample clock."""

from dataclasses import dataclass

from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE, SpeechEnded, SpeechStarted

_SAMPLES_PER_MS = SAMPLE_RATE // 1000
_MAX_MS = 10_000


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """When a speech segment starts and ends; raises SettingError for a time that is negative or beyond 10 s.

    It starts after `start_ms` of speech without a gap, at the first of it less `pre_roll_ms`; it ends after
    `hangover_ms` without speech.
    """

    pre_roll_ms: int = 300
    hangover_ms: int = 400
    start_ms: int = 60

    def __post_init__(self) -> None:
        for name in ("pre_roll_ms", "hangover_ms", "start_ms"):
            value = getattr(self, name)
            if not 0 <= value <= _MAX_MS:
                raise SettingError(f"{name} = {value} is out of range: give 0..{_MAX_MS}")


class Segmenter:
    """Hysteresis over the flags of frames of `frame_samples` samples; segments never overlap."""

    _clock: int
    _in_speech: bool
    _onset: int | None
    _last_speech: int | None
    _last_end: int

    def __init__(self, config: SegmentationConfig, frame_samples: int) -> None:
        self._frame_samples = frame_samples
        self._pre_roll = config.pre_roll_ms * _SAMPLES_PER_MS
        self._hangover = config.hangover_ms * _SAMPLES_PER_MS
        self._start = config.start_ms * _SAMPLES_PER_MS
        self.reset()

    @property
    def in_speech(self) -> bool:
        """True between a SpeechStarted and its SpeechEnded."""
        return self._in_speech

    @property
    def last_speech_sample(self) -> int | None:
        """End of the last frame flagged as speech, None before the first.

        A single frame counts, whether a segment came of it or not: a gate on it misses no word too short for one.
        """
        return self._last_speech

    def feed(self, is_speech: bool) -> list[SpeechStarted | SpeechEnded]:
        """Take the flag of the next frame; at most one event."""
        frame_start = self._clock
        self._clock += self._frame_samples
        if is_speech:
            return self._hear_speech(frame_start)
        self._onset = None
        if self._in_speech and self._clock >= self._segment_end():
            return [self._end_segment(self._segment_end())]
        return []

    def finish(self) -> list[SpeechStarted | SpeechEnded]:
        """End the running segment: at its hangover, or at the end of the stream where that comes first."""
        if not self._in_speech:
            return []
        return [self._end_segment(min(self._segment_end(), self._clock))]

    def reset(self) -> None:
        """Forget everything: the next frame starts at sample 0."""
        self._clock = 0
        self._in_speech = False
        self._onset = None
        self._last_speech = None
        self._last_end = 0

    def _hear_speech(self, frame_start: int) -> list[SpeechStarted | SpeechEnded]:
        self._last_speech = self._clock
        if self._onset is None:
            self._onset = frame_start
        if self._in_speech or self._clock - self._onset < self._start:
            return []
        self._in_speech = True
        return [SpeechStarted(max(self._onset - self._pre_roll, self._last_end))]

    def _segment_end(self) -> int:
        return (self._last_speech or 0) + self._hangover

    def _end_segment(self, sample: int) -> SpeechEnded:
        self._in_speech = False
        self._last_end = sample
        return SpeechEnded(sample)
