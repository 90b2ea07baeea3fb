"""Which entries explain which stretches of audio already, in words that outlive the index they were found in."""

from collections.abc import Iterable
from dataclasses import dataclass

# Two spans tell of the same stretch of audio when they share more than this part of their union.
_SAME_STRETCH_IOU = 0.65


@dataclass(frozen=True, slots=True)
class Heard:
    """An entry that was heard at `start_sample`..`end_sample`; `probability` is calibrated."""

    entry_id: str
    term: str
    start_sample: int
    end_sample: int
    probability: float


class Explained:
    """The occurrences of a stream that were hinted, or kept silent on purpose."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []

    def __len__(self) -> int:
        return len(self._heard)

    def add(self, heard: Heard) -> None:
        """Remember an occurrence."""
        self._heard.append(heard)

    def repeats(self, heard: Heard, refractory: int) -> bool:
        """True for an occurrence that is known already; `refractory` samples after one, its entry is that one still.

        An entry is heard in the order of time: a span before its last occurrence is that one again or a stale one.
        """
        return any(
            heard.start_sample < earlier.end_sample + refractory
            for earlier in self._heard
            if earlier.entry_id == heard.entry_id
        )

    def outdoes(self, heard: Heard, spoken: Iterable[Heard]) -> bool:
        """True where another entry explains the same stretch of audio at least as well.

        Either one that is remembered (of this hop or an earlier one), or such a one that is `spoken` in this hop still.
        """
        return any(
            rival.probability >= heard.probability and are_rivals(rival, heard)
            for rivals in (self._heard, spoken)
            for rival in rivals
        )

    def forget_before(self, sample: int) -> None:
        """Forget what ended before `sample`."""
        self._heard = [heard for heard in self._heard if heard.end_sample >= sample]


def are_rivals(one: Heard, other: Heard) -> bool:
    """True for two entries of which only one can have been said on a stretch of audio.

    "Conference" and "conference number" can both have been said, whatever the part of the stretch they share.
    """
    if one.entry_id == other.entry_id or not _same_stretch(one, other):
        return False
    terms = (f" {heard.term.lower()} " for heard in (one, other))
    shorter, longer = sorted(terms, key=len)
    return shorter not in longer


def _same_stretch(one: Heard, other: Heard) -> bool:
    shared = min(one.end_sample, other.end_sample) - max(one.start_sample, other.start_sample)
    union = max(one.end_sample, other.end_sample) - min(one.start_sample, other.start_sample)
    return shared > _SAME_STRETCH_IOU * union
