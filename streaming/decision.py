"""Scored candidates of successive hops -> hints, or the decision to emit nothing and its reason.

What is remembered of earlier hops names entries by their ids, so that a new version of the glossary can take the place
of the old one in the middle of a stream.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streaming.decision_config import DecisionConfig
from streaming.events import SAMPLE_RATE, Abstention, AbstentionReason, Alternative, Hint
from streaming.explained import Explained, Heard, are_rivals
from streaming.false_hint_budget import SpentBudget

_SAMPLES_PER_MS = SAMPLE_RATE // 1000
# A hint older than the longest context (30 s) and its refractory time can meet no candidate any more.
_MEMORY_SAMPLES = 30 * SAMPLE_RATE
_MAX_ALTERNATIVES = 3
# A rival less likely than this tells the reader nothing.
_ALTERNATIVE_FLOOR = 0.05


class TermEntry(Protocol):
    """What a hint says of a glossary entry."""

    @property
    def entry_id(self) -> str:
        """Stable id of the entry."""
        ...

    @property
    def term(self) -> str:
        """The term as the glossary writes it."""
        ...

    @property
    def translations(self) -> Mapping[str, str]:
        """Language code -> translation."""
        ...

    @property
    def do_not_hint(self) -> bool:
        """Whether it is listened for, so that no other entry takes its place, and never shown."""
        ...

    @property
    def minimum_probability(self) -> float:
        """Under which it gives no hint, whatever the threshold."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may have been spoken at `start_sample`..`end_sample`; `probability` is calibrated.

    A tentative one ends so near the edge of the audio that the word may go on; it decides nothing.
    """

    entry_index: int
    form_index: int
    start_sample: int
    end_sample: int
    probability: float
    raw_similarity: float | None = None
    is_tentative: bool = False


class Decider:
    """Emits each occurrence of an entry once, at the first hop in which its probability reaches the threshold.

    Waiting a hop for a peak would add 0.3 s and no recall (design/recipe.md). Memory holds the hints of the last half
    minute and one count per entry ever hinted.
    """

    _config: DecisionConfig
    _refractory: int
    _entries: Sequence[TermEntry]
    _version_of: Callable[[int], str]
    _explained: Explained
    _occurrences: dict[str, int]
    _hint_count: int
    _spent: SpentBudget | None

    def __init__(
        self, entries: Sequence[TermEntry], config: DecisionConfig, version_of: Callable[[int], str] = lambda _: ""
    ) -> None:
        """Decide on candidates of `entries`; `version_of` names the glossary version of each by its index."""
        self._spent = None
        self.replace_entries(entries, version_of)
        self.configure(config)
        self.reset()

    def configure(self, config: DecisionConfig) -> None:
        """Decide by `config` from the next hop on; what was spent counts on where the same is asked for."""
        if config.budget is None or self._spent is None or self._spent.per_hour != config.budget.per_hour:
            self._spent = None if config.budget is None else SpentBudget(config.budget)
        else:
            self._spent.move(config.budget)
        self._config = config
        self._refractory = config.refractory_ms * _SAMPLES_PER_MS

    def replace_entries(self, entries: Sequence[TermEntry], version_of: Callable[[int], str] = lambda _: "") -> None:
        """Decide on candidates of these entries from the next hop on; what was hinted is remembered by entry id."""
        self._entries = entries
        self._version_of = version_of

    def feed(
        self, hop_start_sample: int, hop_end_sample: int, candidates: Sequence[Candidate]
    ) -> list[Hint | Abstention]:
        """Decide on one hop: its hints, the most probable first, or exactly one abstention.

        An abstention has the reason for which the most probable candidate gave no hint.
        """
        self._explained.forget_before(hop_start_sample - _MEMORY_SAMPLES - self._refractory)
        reasons: list[AbstentionReason] = []
        hints: list[Hint | Abstention] = []
        spoken: list[Heard] = []
        threshold = self._threshold
        for candidate in self._above_threshold(candidates):
            heard = self._heard(candidate)
            reason = self._reason_against(heard, candidate, spoken)
            if reason is None and len(hints) == self._config.max_hints_per_hop:
                reasons.append("limit")
                break
            if reason is None:
                hints.append(self._emit(candidate, hop_end_sample, len(hints) + 1, candidates))
            else:
                reasons.append(reason)
        if self._spent is not None:
            self._spent.hear(hop_start_sample, hop_end_sample)
        if hints:
            return hints
        best = max((c.probability for c in candidates), default=0.0)
        reasons.append("below_threshold" if candidates else "no_candidate")
        held_against = threshold if reasons[0] == "below_threshold" else None
        return [Abstention(hop_start_sample, hop_end_sample, reasons[0], best, held_against)]

    def foresee(self, hop_end_sample: int, candidates: Sequence[Candidate]) -> list[Hint]:
        """The hints that tentative candidates would be if nothing followed, most probable first; none is remembered.

        They have no id, and `is_final` is false.
        """
        return [
            self._hint(candidate, "", hop_end_sample, rank, candidates, is_final=False)
            for rank, candidate in enumerate(filter(self._is_shown, self._above_threshold(candidates)), start=1)
        ][: self._config.max_hints_per_hop]

    def reset(self) -> None:
        """Forget all hints: the next one is h1, every entry is at its first occurrence."""
        self._explained = Explained()
        self._occurrences = {}
        self._hint_count = 0
        if self._config.budget is not None:
            self._spent = SpentBudget(self._config.budget)

    @property
    def _threshold(self) -> float:
        """What holds now."""
        return self._config.threshold if self._spent is None else self._spent.threshold

    def _above_threshold(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        threshold = self._threshold
        # Ties are broken by content, so that the order in which the scorer lists its candidates decides nothing.
        return sorted(
            (c for c in candidates if c.probability >= threshold),
            key=lambda c: (-c.probability, c.entry_index, c.start_sample, c.end_sample, c.form_index),
        )

    def _heard(self, candidate: Candidate) -> Heard:
        entry = self._entries[candidate.entry_index]
        return Heard(entry.entry_id, entry.term, candidate.start_sample, candidate.end_sample, candidate.probability)

    def _reason_against(self, heard: Heard, candidate: Candidate, spoken: list[Heard]) -> AbstentionReason | None:
        """Why a candidate above the threshold is not shown, the limit apart; what it explains is remembered."""
        entry = self._entries[candidate.entry_index]
        if heard.probability < entry.minimum_probability:
            return "below_minimum"
        if self._explained.repeats(heard, self._refractory):
            spoken.append(heard)
            return self._silence(entry) or "refractory"
        if self._explained.outdoes(heard, spoken):
            return "refractory"
        silence = self._silence(entry)
        if silence is not None:
            self._explained.add(heard)
        return silence

    def _silence(self, entry: TermEntry) -> AbstentionReason | None:
        """Who wants nothing to be heard of an entry, if anybody."""
        if entry.do_not_hint:
            return "do_not_hint"
        return "muted" if entry.entry_id in self._config.mute_entries else None

    def _is_shown(self, candidate: Candidate) -> bool:
        """Whether a candidate above the threshold would be shown after what is explained by earlier ones."""
        entry, heard = self._entries[candidate.entry_index], self._heard(candidate)
        return (
            heard.probability >= entry.minimum_probability
            and self._silence(entry) is None
            and not self._explained.repeats(heard, self._refractory)
            and not self._explained.outdoes(heard, ())
        )

    def _emit(self, candidate: Candidate, emitted_sample: int, rank: int, candidates: Iterable[Candidate]) -> Hint:
        self._explained.add(self._heard(candidate))
        self._hint_count += 1
        hint = self._hint(candidate, f"h{self._hint_count}", emitted_sample, rank, candidates, is_final=True)
        self._occurrences[hint.entry_id] = hint.occurrence
        if self._spent is not None:
            self._spent.spend(hint.score)
        return hint

    def _hint(
        self,
        candidate: Candidate,
        hint_id: str,
        emitted_sample: int,
        rank: int,
        candidates: Iterable[Candidate],
        *,
        is_final: bool,
    ) -> Hint:
        entry = self._entries[candidate.entry_index]
        return Hint(
            hint_id=hint_id,
            entry_id=entry.entry_id,
            term=entry.term,
            translations=entry.translations,
            start_sample=candidate.start_sample,
            end_sample=candidate.end_sample,
            emitted_sample=emitted_sample,
            score=candidate.probability,
            raw_similarity=candidate.raw_similarity,
            rank=rank,
            occurrence=self._occurrences.get(entry.entry_id, 0) + 1,
            alternatives=self._alternatives(self._heard(candidate), candidates),
            glossary_version=self._version_of(candidate.entry_index),
            is_final=is_final,
        )

    def _alternatives(self, winner: Heard, candidates: Iterable[Candidate]) -> tuple[Alternative, ...]:
        best: dict[int, float] = {}
        for rival in candidates:
            if (
                _ALTERNATIVE_FLOOR <= rival.probability <= winner.probability
                and are_rivals(self._heard(rival), winner)
                and self._silence(self._entries[rival.entry_index]) is None
            ):
                best[rival.entry_index] = max(rival.probability, best.get(rival.entry_index, 0.0))
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:_MAX_ALTERNATIVES]
        return tuple(self._alternative(self._entries[index], score) for index, score in ranked)

    @staticmethod
    def _alternative(entry: TermEntry, score: float) -> Alternative:
        return Alternative(entry.entry_id, entry.term, entry.translations, score)
