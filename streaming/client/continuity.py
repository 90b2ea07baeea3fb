"""One clock, one numbering and no repetition over all the sessions of a stream; no I/O.

A server that has forgotten a session begins another one at 0 s, number 0 and hint h1, and hears the last seconds anew.
What it says is given on as if the first session had never ended.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace

from streaming.events import SAMPLE_RATE
from streaming.protocol import (
    Abstain,
    Begin,
    Error,
    GlossaryUpdated,
    HintRetracted,
    Lag,
    MarkerReached,
    Metadata,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    TermMap,
)

_REPEATED_WITHIN_S = 0.3
_REMEMBERED_HINTS = 1000
_CLOCK_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Given:
    """A hint that was given: of which session, which entry, where."""

    session: int
    entry_id: str
    start: float
    end: float


class Continuity:
    """Messages of one session after the other -> the messages of one stream.

    Attributes:
        last_seq: number of the last message of the present session, as its server counts; -1 before the first.
    """

    def __init__(self) -> None:
        self.last_seq = -1
        self._session = 0
        self._offset_s = 0
        self._anew_until_s = 0.0
        self._next_seq = self._first_seq = 0
        self._given: deque[_Given] = deque(maxlen=_REMEMBERED_HINTS)
        self._final_hints = 0
        self._counted: Counter[str] = Counter()
        self._counted_before: Counter[str] = Counter()
        self._repeats: set[str] = set()
        self._open_hints: dict[str, None] = {}
        self._is_speaking = False
        self._last_speech_s = -1.0
        self._mapped: deque[TermMap] = deque(maxlen=8)

    def begin_session(self, offset_s: int, anew_until_s: float) -> list[ServerMessage]:
        """Another session takes the place of the present one.

        Args:
            offset_s: where in the stream its clock starts.
            anew_until_s: up to where the stream had been worked on before.

        Returns:
            What must be said of the session that is gone: hints that it can no longer confirm are withdrawn.
        """
        withdrawn: list[ServerMessage] = [
            HintRetracted(seq=self._next_seq + index, hint_id=hint_id, reason="session_lost")
            for index, hint_id in enumerate(self._open_hints)
        ]
        self._next_seq += len(withdrawn)
        self._first_seq = self._next_seq
        self.last_seq = -1
        self._session += 1
        self._offset_s, self._anew_until_s = offset_s, anew_until_s
        self._repeats.clear()
        self._open_hints.clear()
        self._counted_before = self._counted.copy()
        return withdrawn

    def server_hint_id(self, hint_id: str) -> str | None:
        """What the server of the present session calls a hint; None for a hint of a session that is gone."""
        if not self._session:
            return hint_id
        name, _, session = hint_id.rpartition(".")
        return name if session == str(self._session) else None

    def take(self, message: ServerMessage) -> ServerMessage | None:
        """What the server says now -> what the stream says; None where the stream has said it."""
        if message.seq <= self.last_seq and not (isinstance(message, Begin) and message.resumed):
            return None
        self.last_seq = max(self.last_seq, message.seq)
        placed = self._placed(message)
        if placed is None:
            return None
        seq = self._first_seq + message.seq
        self._next_seq = max(self._next_seq, seq + 1)
        return replace(placed, seq=seq)

    def numbered(self, message: Error) -> Error:
        """An error that ends the stream, as its next message."""
        return replace(message, seq=self._next_seq)

    def _placed(self, message: ServerMessage) -> ServerMessage | None:
        match message:
            case TermHint():
                return self._hint(message)
            case HintRetracted():
                hint_id = self._named(message.hint_id)
                self._open_hints.pop(hint_id, None)
                return None if message.hint_id in self._repeats else replace(message, hint_id=hint_id)
            case Abstain():
                shifted = replace(message, start=self._at(message.start), end=self._at(message.end))
                return None if shifted.end <= self._anew_until_s else shifted
            case SpeechStartedMessage() | SpeechEndedMessage():
                return self._speech(replace(message, timestamp=self._at(message.timestamp)))
            case TermMap():
                return self._term_map(replace(message, start=self._at(message.start), end=self._at(message.end)))
            case _:
                return self._clocked(message)

    def _clocked(self, message: ServerMessage) -> ServerMessage:
        """Messages that have nothing to do with what was said: their times are moved."""
        match message:
            case Begin() if message.audio_received_s is not None:
                return replace(message, audio_received_s=self._at(message.audio_received_s))
            case MarkerReached():
                return replace(message, audio_processed_s=self._at(message.audio_processed_s))
            case GlossaryUpdated():
                return replace(message, effective_at=self._at(message.effective_at))
            case Lag():
                received, processed = self._at(message.audio_received_s), self._at(message.audio_processed_s)
                return replace(message, audio_received_s=received, audio_processed_s=processed)
            case Metadata() if self._session:
                return replace(message, duration=self._at(message.duration), hints=self._final_hints)
            case _:
                return message

    def _hint(self, message: TermHint) -> TermHint | None:
        start, end = self._at(message.start), self._at(message.end)
        if message.hint_id in self._repeats:
            return None
        if self._is_repeat(message.entry_id, start, end):
            self._repeats.add(message.hint_id)
            # The server counts it, and it has been counted before.
            self._counted_before[message.entry_id] -= 1
            return None
        hint_id = self._named(message.hint_id)
        self._open_hints.pop(hint_id, None)
        occurrence = message.occurrence + self._counted_before[message.entry_id]
        if message.is_final:
            self._final_hints += 1
            self._counted[message.entry_id] += 1
            self._given.append(_Given(self._session, message.entry_id, start, end))
        else:
            self._open_hints[hint_id] = None
        offset_samples = self._offset_s * SAMPLE_RATE
        return replace(
            message,
            hint_id=hint_id,
            occurrence=occurrence,
            start=start,
            end=end,
            start_sample=message.start_sample + offset_samples,
            end_sample=message.end_sample + offset_samples,
            emitted=self._at(message.emitted),
        )

    def _is_repeat(self, entry_id: str, start: float, end: float) -> bool:
        return any(
            given.session < self._session
            and given.entry_id == entry_id
            and start < given.end + _REPEATED_WITHIN_S
            and given.start < end + _REPEATED_WITHIN_S
            for given in self._given
        )

    def _speech(
        self, message: SpeechStartedMessage | SpeechEndedMessage
    ) -> SpeechStartedMessage | SpeechEndedMessage | None:
        """A bound of speech; one session may begin in the middle of what another had heard the start of."""
        starts = isinstance(message, SpeechStartedMessage)
        if self._session and (starts == self._is_speaking or message.timestamp <= self._last_speech_s):
            return None
        self._is_speaking, self._last_speech_s = starts, message.timestamp
        return message

    def _term_map(self, message: TermMap) -> TermMap | None:
        before = [given for given in self._mapped if given.end > message.start] if self._session else []
        if any(given.end >= message.end for given in before):
            return None
        told = {term for given in before for term, _, _ in given.terms}
        kept = replace(message, terms=tuple(row for row in message.terms if row[0] not in told))
        self._mapped.append(kept)
        return kept

    def _at(self, seconds: float) -> float:
        return round(seconds + self._offset_s, _CLOCK_DIGITS) if self._offset_s else seconds

    def _named(self, hint_id: str) -> str:
        return f"{hint_id}.{self._session}" if self._session else hint_id
