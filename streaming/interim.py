"""Hints before they are certain: shown as interim, then made final or withdrawn."""

from collections.abc import Sequence
from dataclasses import replace

from streaming.events import Abstention, Hint, HintWithdrawn, WithdrawalReason


class InterimHints:
    """Follows each interim hint to its end. What is final stays as it was decided, apart from its id and revision."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all: the next interim hint is i1."""
        self._shown: dict[str, Hint] = {}
        self._count = 0

    def feed(
        self, decisions: Sequence[Hint | Abstention], foreseen: Sequence[Hint]
    ) -> list[Hint | HintWithdrawn | Abstention]:
        """One hop.

        Args:
            decisions: final hints, or the abstention.
            foreseen: what may become hints, without ids.

        Returns:
            The decisions, where a hint that was shown keeps its id; what is withdrawn; interim hints, each once.
        """
        told: list[Hint | HintWithdrawn | Abstention] = [self._settled(decision) for decision in decisions]
        still = {hint.entry_id for hint in foreseen}
        for entry_id, shown in list(self._shown.items()):
            if entry_id not in still:
                del self._shown[entry_id]
                told.append(HintWithdrawn(shown.hint_id, _reason(shown, decisions)))
        for hint in foreseen:
            if hint.entry_id not in self._shown:
                self._count += 1
                self._shown[hint.entry_id] = replace(hint, hint_id=f"i{self._count}")
                told.append(self._shown[hint.entry_id])
        return told

    def _settled(self, decision: Hint | Abstention) -> Hint | Abstention:
        if isinstance(decision, Abstention) or (shown := self._shown.pop(decision.entry_id, None)) is None:
            return decision
        return replace(decision, hint_id=shown.hint_id, rev=shown.rev + 1)


def _reason(shown: Hint, decisions: Sequence[Hint | Abstention]) -> WithdrawalReason:
    overlapped = any(
        isinstance(one, Hint) and one.start_sample < shown.end_sample and shown.start_sample < one.end_sample
        for one in decisions
    )
    return "superseded" if overlapped else "not_confirmed"
