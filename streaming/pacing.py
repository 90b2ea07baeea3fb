"""How far a session is behind, how fast a client may send, and what is given up when the machine is too slow.

Times are seconds from any origin that the caller passes in; durations of audio are seconds of the audio clock.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

PaceState: TypeAlias = Literal["ok", "degraded", "skipping"]
# A little faster than anybody speaks, so that a client whose clock runs fast is not for ever in time.
_DUE_FACTOR = 1.1


@dataclass(frozen=True, slots=True, order=True)
class Pace:
    """How often is decided: after every `hops` hops; with `skips`, windows are left out and counted.

    The greater of two gives up more.
    """

    hops: int = 1
    skips: bool = False

    @property
    def state(self) -> PaceState:
        """In one word."""
        if self.skips:
            return "skipping"
        return "ok" if self.hops == 1 else "degraded"

    @property
    def words(self) -> str:
        """For people."""
        if self.skips:
            return "windows are left out, hints may be missed"
        return "it decides as often as it should" if self.hops == 1 else f"it decides {self.hops} times less often"


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingConfig:
    """When a session gives something up.

    A short wait, such as another process makes, is made up for at once; only a machine that is too slow stays behind.

    Attributes:
        raise_at_s: lag from which it decides on every second hop where it stays for `raise_after_s` of audio.
        raise_after_s: that audio.
        raise_at_once_s: lag from which it does so at once.
        raise_more_at_s: lag from which it decides on every fourth hop.
        skip_at_s: lag from which it leaves windows out.
        restore_below_s: lag under which it goes one step back.
        hold_s: audio between two steps.
    """

    raise_at_s: float = 0.3
    raise_after_s: float = 0.5
    raise_at_once_s: float = 1.0
    raise_more_at_s: float = 2.0
    skip_at_s: float = 3.0
    restore_below_s: float = 0.1
    hold_s: float = 1.0


_STEPS = (Pace(), Pace(2), Pace(4), Pace(4, skips=True))


class Pacer:
    """Lag -> pace, one step at a time."""

    def __init__(self, config: PacingConfig | None = None) -> None:
        self._config = config or PacingConfig()
        self._step = 0
        self._stepped_at_s: float | None = None
        self._behind_since_s: float | None = None

    @property
    def pace(self) -> Pace:
        """What holds."""
        return _STEPS[self._step]

    def update(self, lag_s: float, received_s: float) -> Pace:
        """What holds from here on, at this lag and after so much audio."""
        config, wanted = self._config, self._wanted(lag_s, received_s)
        held = self._stepped_at_s is None or received_s - self._stepped_at_s >= config.hold_s
        if held and (wanted > self._step or (lag_s < config.restore_below_s and self._step)):
            self._step += 1 if wanted > self._step else -1
            self._stepped_at_s = received_s
        return self.pace

    def _wanted(self, lag_s: float, received_s: float) -> int:
        """The step that the lag asks for."""
        config = self._config
        if lag_s <= config.raise_at_s:
            self._behind_since_s = None
            return 0
        if self._behind_since_s is None:
            self._behind_since_s = received_s
        bounds = (config.raise_at_once_s, config.raise_more_at_s, config.skip_at_s)
        stays = received_s - self._behind_since_s >= config.raise_after_s
        return max(int(stays), sum(lag_s > bound for bound in bounds))


class LagMeter:
    """How long audio that is due has waited.

    A chunk is due when it came, but no earlier than it takes to work on what came just before at `factor` times the
    speed of speech: so a burst, such as what a client sends again after a broken connection, is no lag.
    """

    def __init__(self, factor: float = _DUE_FACTOR) -> None:
        self._factor = factor
        self._waiting: deque[tuple[float, float]] = deque()
        self._last_due_s = float("-inf")

    def received(self, audio_s: float, now_s: float) -> None:
        """A chunk of `audio_s` came."""
        self._last_due_s = max(now_s, self._last_due_s + audio_s / self._factor)
        self._waiting.append((self._last_due_s, audio_s))

    def worked(self) -> None:
        """The oldest chunk has been worked on."""
        self._waiting.popleft()

    def lag_s(self, now_s: float) -> float:
        """How long the oldest chunk has been due; 0 where none is."""
        return max(0.0, now_s - self._waiting[0][0]) if self._waiting else 0.0


class RateBucket:
    """Lets audio in at `factor` times the speed of speech, and `burst_s` seconds of it at once; None lets in all."""

    def __init__(self, factor: float | None, burst_s: float) -> None:
        self._factor, self._burst_s = factor, burst_s
        self._left_s = burst_s
        self._last_s: float | None = None

    def take(self, audio_s: float, now_s: float) -> bool:
        """Whether so much audio may come at this time; it is counted in either case."""
        if self._factor is None:
            return True
        passed_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        self._left_s = min(self._burst_s, self._left_s + passed_s * self._factor) - audio_s
        return self._left_s >= 0
