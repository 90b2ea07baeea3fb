"""A session with what the server keeps beside it, from its opening until nobody can take it up again."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from streaming.closing import Close, Output
from streaming.pacing import LagMeter, RateBucket
from streaming.protocol import CloseCode, TermHint
from streaming.server.inbox import Received
from streaming.server.metrics import ServerMetrics
from streaming.session import Session

if TYPE_CHECKING:
    from streaming.server.connection import Connection


class LiveSession:
    """One session and its measures; it is called for one frame after the other, on any thread.

    Attributes:
        session: the state machine.
        connection: the connection that serves it; None while it waits for its client to come back.
        lag_s: how far it was behind when its last audio was begun.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.connection: Connection | None = None
        self.lag_s = 0.0
        limits, audio_format = session.limits, session.settings.format
        self._bytes_per_second = audio_format.sample_rate * audio_format.bytes_per_frame
        self._meter = LagMeter(limits.max_realtime_factor)
        self._bucket = RateBucket(limits.max_realtime_factor, limits.max_burst_s)

    def receive(self, received: Received, now_s: float, queued_bytes: int, metrics: ServerMetrics) -> list[Output]:
        """Work on one frame.

        Args:
            received: the frame and when it came.
            now_s: the time, on the same clock.
            queued_bytes: audio that waits behind it.
            metrics: where it is counted.
        """
        counts, spent, started = self.session.counts, self.session.stage_seconds, time.perf_counter()
        outputs = self._work(received, now_s, queued_bytes)
        if isinstance(received.frame, bytes):
            audio_s = len(received.frame) / self._bytes_per_second
            metrics.worked(time.perf_counter() - started, self.lag_s, audio_s)
        metrics.counted(counts, self.session.counts)
        metrics.spent(spent, self.session.stage_seconds)
        return outputs

    def _work(self, received: Received, now_s: float, queued_bytes: int) -> list[Output]:
        frame = received.frame
        if isinstance(frame, str):
            return self.session.receive_text(frame)
        audio_s = len(frame) / self._bytes_per_second
        if not self._bucket.take(audio_s, received.at_s):
            return self._refuse_speed()
        self._meter.received(audio_s, received.at_s)
        self.lag_s = self._meter.lag_s(now_s)
        self._meter.worked()
        paced = self.session.pace(self.lag_s, queued_bytes / self._bytes_per_second)
        queue_ms = round(1000 * (now_s - received.at_s))
        return [*paced, *(_queued(output, queue_ms) for output in self.session.receive_audio(frame))]

    def _refuse_speed(self) -> list[Output]:
        limits = self.session.limits
        message = (
            f"audio comes faster than {limits.max_realtime_factor:g} times the speed of speech, for longer than "
            f"{limits.max_burst_s:g} s: send it slower, or a whole recording to /v1/hints:file"
        )
        return self.session.fail("too_fast", CloseCode.TOO_FAST, message)


def _queued(output: Output, queue_ms: int) -> Output:
    """A hint that says how long its audio waited."""
    if not isinstance(output, TermHint):
        return output
    return replace(output, latency_ms=replace(output.latency_ms, queue=queue_ms))


def ends(outputs: Sequence[Output]) -> bool:
    """Whether the connection closes after them."""
    return any(isinstance(output, Close) for output in outputs)
