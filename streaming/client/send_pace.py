"""How fast audio may be sent."""

# What left evenly arrives in bursts, so a part of what the server allows is left alone.
_USED_SHARE = 0.9
_MIN_BURST_S = 0.1


class SendPace:
    """At most `factor` times the speed of speech, but for `burst_s` seconds of audio at once; None: no bound."""

    def __init__(self, factor: float | None = None, burst_s: float = 0.0) -> None:
        self._factor = factor
        self._burst_s = max(burst_s * _USED_SHARE, _MIN_BURST_S)
        self._left_s = self._burst_s
        self._last_s: float | None = None

    def wait_s(self, audio_s: float, now_s: float) -> float:
        """Seconds until so much audio may be sent; 0 where it may at once, and then it counts as sent."""
        if self._factor is None:
            return 0.0
        passed_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        self._left_s = min(self._burst_s, self._left_s + passed_s * self._factor)
        missing_s = min(audio_s, self._burst_s) - self._left_s
        if missing_s > 1e-9:
            return missing_s / self._factor
        self._left_s -= audio_s
        return 0.0
