"""A session with what the server keeps beside it, from its opening until nobody can take it up again."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from streaming.pacing import LagMeter, RateBucket
from streaming.protocol import CloseCode, TermHint
from streaming.server.inbox import Received
from streaming.server.metrics import ServerMetrics
from streaming.server.rate_check import RateCheck
from streaming.session import Session
from streaming.sessions.closing import Close, Output
from streaming.sessions.recording import SessionRecorder

if TYPE_CHECKING:
    from streaming.server.connection import Connection

logger = logging.getLogger(__name__)


class LiveSession:
    """One session and its measures; it is called for one frame after the other, on any thread.

    Args:
        session: the state machine.
        metrics: where it is counted.
        recorder: what records it, if anything does.
        log_terms: whether its hints are written to the log.
        is_spoken: whether its audio comes as it is spoken.

    Attributes:
        connection: the connection that serves it; None while it waits for its client to come back.
        lag_s: how far it was behind when its last audio was begun.
    """

    def __init__(
        self,
        session: Session,
        metrics: ServerMetrics,
        recorder: SessionRecorder | None = None,
        *,
        log_terms: bool = False,
        is_spoken: bool = True,
    ) -> None:
        self.session = session
        self.connection: Connection | None = None
        self.lag_s = 0.0
        self._metrics, self._recorder, self._log_terms = metrics, recorder, log_terms
        self._has_told_failure = False
        limits, audio_format = session.limits, session.settings.format
        self.bytes_per_second = audio_format.sample_rate * audio_format.bytes_per_frame
        self._meter = LagMeter()
        self._bucket = RateBucket(limits.max_realtime_factor, limits.max_burst_s)
        self._rate_check = RateCheck(audio_format, limits.max_realtime_factor if is_spoken else float("inf"))

    def told(self, outputs: Sequence[Output]) -> list[Output]:
        """What the session says, once it is on record; a recording that broke is told of with it."""
        for output in outputs:
            if self._log_terms and isinstance(output, TermHint):
                self._log_hint(output)
        if self._recorder is None:
            return [*outputs]
        self._recorder.sent(outputs)
        if self._recorder.failed is None or self._has_told_failure or ends(outputs):
            return [*outputs]
        self._has_told_failure = True
        session_id = self.session.session_id
        logger.warning("%s: the recording ended: %s", session_id, self._recorder.failed, extra={"session": session_id})
        message = "the recording of this session ended too early; the session goes on"
        return [*outputs, *self.session.warn("recording_failed", message)]

    def receive(self, received: Received, now_s: float, queued_bytes: int) -> list[Output]:
        """Work on one frame.

        Args:
            received: the frame and when it came.
            now_s: the time, on the same clock.
            queued_bytes: audio that waits behind it.
        """
        counts, spent, started_s = self.session.counts, self.session.stage_seconds, time.perf_counter()
        outputs = self._work(received, now_s, queued_bytes)
        if isinstance(received.frame, bytes):
            audio_s = len(received.frame) / self.bytes_per_second
            self._metrics.worked(time.perf_counter() - started_s, self.lag_s, audio_s)
        self._metrics.counted(counts, self.session.counts)
        self._metrics.spent(spent, self.session.stage_seconds)
        return self.told(outputs)

    def tick(self, now_s: float) -> list[Output]:
        """The time, while no frame waits."""
        return self.told(self.session.tick(now_s))

    def overflowed(self, times: int) -> list[Output]:
        """Frames had to wait before they could be queued, `times` in all."""
        return self.told(self.session.overflowed(times))

    def resumed(self, last_seq: int) -> list[Output]:
        """A client is there again that has the messages up to `last_seq`."""
        outputs = self.session.resumed(last_seq)
        if ends(outputs):
            return outputs
        self._rate_check.restart()
        return self.told(outputs)

    def fail(self, code: str, close_code: CloseCode, message: str, retry_after_s: float | None = None) -> list[Output]:
        """End the session abnormally."""
        return self.told(self.session.fail(code, close_code, message, retry_after_s=retry_after_s))

    def close(self) -> None:
        """Nobody takes it up again. Waits for the disk of its recording; further calls do nothing."""
        if self._recorder is not None:
            self._recorder.close()

    def _work(self, received: Received, now_s: float, queued_bytes: int) -> list[Output]:
        frame = received.frame
        if isinstance(frame, str):
            if self._recorder is not None:
                self._recorder.received_text(frame)
            return self.session.receive_text(frame)
        audio_s = len(frame) / self.bytes_per_second
        if not self._bucket.take(audio_s, received.at_s):
            return self._refuse_speed()
        self._meter.received(audio_s, received.at_s)
        self.lag_s = self._meter.lag_s(now_s)
        self._meter.worked()
        told = self.session.pace(self.lag_s, queued_bytes / self.bytes_per_second)
        if self._recorder is not None:
            self._recorder.received_audio(frame)
        queue_ms = max(0, round(1000 * (now_s - received.at_s)))
        told += [_queued(output, queue_ms) for output in self.session.receive_audio(frame)]
        if not ends(told) and (message := self._rate_check.feed(frame, received.at_s)) is not None:
            told += self.session.warn("suspect_sample_rate", message)
        return told

    def _refuse_speed(self) -> list[Output]:
        limits = self.session.limits
        message = (
            f"audio comes faster than {limits.max_realtime_factor:g} times the speed of speech, for longer than "
            f"{limits.max_burst_s:g} s: send it slower, or a whole recording to /v1/hints:file"
        )
        return self.session.fail("too_fast", CloseCode.TOO_FAST, message)

    def _log_hint(self, hint: TermHint) -> None:
        session_id = self.session.session_id
        fields = {"session": session_id, "term": hint.term, "start": hint.start, "score": hint.score}
        logger.info("%s: hint %s at %.2f s", session_id, hint.term, hint.start, extra=fields)


def _queued(output: Output, queue_ms: int) -> Output:
    """A hint that says how long its audio waited."""
    if not isinstance(output, TermHint):
        return output
    return replace(output, latency_ms=replace(output.latency_ms, queue=queue_ms))


def ends(outputs: Sequence[Output]) -> bool:
    """Whether the connection closes after them."""
    return any(isinstance(output, Close) for output in outputs)
