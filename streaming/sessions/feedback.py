"""What listeners think of hints, counted."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from streaming.protocol import Feedback, RejectedMessage, ServerMessage, TermHint
from streaming.wire.typed_json import shown

VERDICTS = ("right", "wrong")
# Hints that feedback may still name.
_REMEMBERED_HINTS = 4096


class FeedbackCount:
    """The verdicts on the hints of one session."""

    def __init__(self) -> None:
        self._hint_ids: deque[str] = deque(maxlen=_REMEMBERED_HINTS)
        self._verdicts: Counter[str] = Counter()

    @property
    def verdicts(self) -> Mapping[str, int]:
        """How often each was given."""
        return dict(self._verdicts)

    def told(self, messages: Iterable[ServerMessage]) -> None:
        """Messages went out; their hints may be judged."""
        self._hint_ids.extend(message.hint_id for message in messages if isinstance(message, TermHint))

    def take(self, feedback: Feedback) -> None:
        """Count a verdict. Raises RejectedMessage for one that is none, or for a hint that was never given."""
        if feedback.verdict not in VERDICTS:
            reason = f"verdict = {shown(feedback.verdict)}: it is one of {', '.join(VERDICTS)}"
            raise RejectedMessage("invalid_message", reason, field="verdict")
        if feedback.hint_id not in self._hint_ids:
            reason = f"there was no hint {shown(feedback.hint_id)} here: take the hint_id of a TermHint"
            raise RejectedMessage("unknown_hint", reason, field="hint_id")
        self._verdicts[feedback.verdict] += 1
