"""What a session says besides the events of its pipeline: answers, warnings and reports, numbered with the rest."""

from streaming.pacing import PaceState
from streaming.protocol import (
    CloseCode,
    Configured,
    Error,
    GlossaryUpdated,
    Lag,
    MarkerReached,
    RejectedMessage,
    Warning,
    seconds,
)
from streaming.sessions.listening import Listening
from streaming.sessions.outbox import Outbox


class Replies:
    """Writes the messages of one session; each takes the next number of its outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def warning(self, code: str, message: str) -> Warning:
        """Something unusual."""
        return Warning(seq=self._outbox.take_seq(), code=code, message=message)

    def rejection(self, rejected: RejectedMessage) -> Error:
        """A message of the client broke the protocol; the session goes on."""
        return Error(
            seq=self._outbox.take_seq(),
            code=rejected.code,
            close_code=CloseCode.CONFIG,
            fatal=False,
            message=str(rejected),
            field=rejected.field,
            request_id=rejected.request_id,
        )

    def marker(self, marker_id: str, processed_samples: int) -> MarkerReached:
        """All before the marker is worked on, which is so many samples at 16 kHz."""
        return MarkerReached(seq=self._outbox.take_seq(), id=marker_id, audio_processed_s=seconds(processed_samples))

    def configured(self, request_id: str | None, listening: Listening) -> Configured:
        """A `Configure` was applied, and this is what holds."""
        return Configured(seq=self._outbox.take_seq(), request_id=request_id, effective=listening.effective)

    def glossary_updated(self, before: Listening, after: Listening, effective_sample: int) -> GlossaryUpdated:
        """Another glossary, or version of it, is listened for from a sample at 16 kHz on."""
        changes = before.glossary.register.changes_to(after.glossary.register)
        return GlossaryUpdated(
            seq=self._outbox.take_seq(),
            from_version=before.glossary.version,
            to_version=after.glossary.version,
            effective_at=seconds(effective_sample),
            added=changes.added,
            removed=changes.removed,
            changed=changes.changed,
        )

    def lag(self, lag_s: float, processed_s: float, queued_s: float, dropped_windows: int, state: PaceState) -> Lag:
        """How far the session is behind, after `processed_s` of audio and with `queued_s` that waits."""
        return Lag(
            seq=self._outbox.take_seq(),
            audio_received_s=round(processed_s + queued_s, 3),
            audio_processed_s=round(processed_s, 3),
            lag_s=round(lag_s, 3),
            dropped_windows=dropped_windows,
            state=state,
        )
