"""Scored candidates of successive hops -> hints, or the decision to emit nothing and its reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE, Abstention, AbstentionReason, Alternative, Hint

_SAMPLES_PER_MS = SAMPLE_RATE // 1000
# Two spans tell of the same stretch of audio when they share more than this part of their union.
_SAME_STRETCH_IOU = 0.65
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


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may have been spoken at `start_sample`..`end_sample`; `probability` is calibrated."""

    entry_index: int
    form_index: int
    start_sample: int
    end_sample: int
    probability: float
    raw_similarity: float | None = None


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """When a candidate becomes a hint; raises SettingError for a value out of its range.

    `threshold` is a probability; `refractory_ms` the time after a hint in which its entry stays silent;
    `max_hints_per_hop` 0 silences everything.
    """

    threshold: float
    refractory_ms: int = 400
    max_hints_per_hop: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise SettingError(f"threshold = {self.threshold} is no probability: give 0..1")
        if not 0 <= self.refractory_ms <= 60_000:
            raise SettingError(f"refractory_ms = {self.refractory_ms} is out of range: give 0..60000")
        if not 0 <= self.max_hints_per_hop <= 1000:
            raise SettingError(f"max_hints_per_hop = {self.max_hints_per_hop} is out of range: give 0..1000")


class Decider:
    """Emits each occurrence of an entry once, at the first hop in which its probability reaches the threshold.

    Waiting a hop for a peak would add 0.3 s and no recall (design/recipe.md). Memory holds the hints of the last half
    minute and one count per entry ever hinted.
    """

    _config: DecisionConfig
    _refractory: int
    _emitted: list[Candidate]
    _occurrences: dict[int, int]
    _hint_count: int

    def __init__(self, entries: Sequence[TermEntry], config: DecisionConfig) -> None:
        self._entries = entries
        self.configure(config)
        self.reset()

    def configure(self, config: DecisionConfig) -> None:
        """Decide by `config` from the next hop on."""
        self._config = config
        self._refractory = config.refractory_ms * _SAMPLES_PER_MS

    def feed(
        self, hop_start_sample: int, hop_end_sample: int, candidates: Sequence[Candidate]
    ) -> list[Hint | Abstention]:
        """Decide on one hop: its hints, the most probable first, or exactly one abstention."""
        self._forget(hop_start_sample)
        reason: AbstentionReason = "below_threshold" if candidates else "no_candidate"
        hints: list[Hint | Abstention] = []
        spoken: list[Candidate] = []
        for candidate in self._above_threshold(candidates):
            if self._repeats(candidate):
                reason = "refractory"
                spoken.append(candidate)
            elif self._yields(candidate, spoken):
                reason = "refractory"
            elif len(hints) == self._config.max_hints_per_hop:
                reason = "limit"
                break
            else:
                hints.append(self._emit(candidate, hop_end_sample, len(hints) + 1, candidates))
        if hints:
            return hints
        best = max((c.probability for c in candidates), default=0.0)
        return [Abstention(hop_start_sample, hop_end_sample, reason, best)]

    def reset(self) -> None:
        """Forget all hints: the next one is h1, every entry is at its first occurrence."""
        self._emitted = []
        self._occurrences = {}
        self._hint_count = 0

    def _above_threshold(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        # Ties are broken by content, so that the order in which the scorer lists its candidates decides nothing.
        return sorted(
            (c for c in candidates if c.probability >= self._config.threshold),
            key=lambda c: (-c.probability, c.entry_index, c.start_sample, c.end_sample, c.form_index),
        )

    def _repeats(self, candidate: Candidate) -> bool:
        """True for an occurrence that was hinted already.

        An entry is heard in the order of time: a span before its last hint is that occurrence again or a stale one.
        """
        return any(
            candidate.start_sample < hint.end_sample + self._refractory
            for hint in self._emitted
            if hint.entry_index == candidate.entry_index
        )

    def _yields(self, candidate: Candidate, spoken: Iterable[Candidate]) -> bool:
        """True where another entry explains the same stretch of audio at least as well.

        Either a hint (of this hop or an earlier one), or an entry already hinted that is `spoken` in this hop still.
        """
        return any(
            rival.probability >= candidate.probability and self._are_rivals(rival, candidate)
            for rivals in (self._emitted, spoken)
            for rival in rivals
        )

    def _emit(self, candidate: Candidate, emitted_sample: int, rank: int, candidates: Iterable[Candidate]) -> Hint:
        self._emitted.append(candidate)
        self._hint_count += 1
        occurrence = self._occurrences.get(candidate.entry_index, 0) + 1
        self._occurrences[candidate.entry_index] = occurrence
        entry = self._entries[candidate.entry_index]
        return Hint(
            hint_id=f"h{self._hint_count}",
            entry_id=entry.entry_id,
            term=entry.term,
            translations=entry.translations,
            start_sample=candidate.start_sample,
            end_sample=candidate.end_sample,
            emitted_sample=emitted_sample,
            score=candidate.probability,
            raw_similarity=candidate.raw_similarity,
            rank=rank,
            occurrence=occurrence,
            alternatives=self._alternatives(candidate, candidates),
        )

    def _alternatives(self, winner: Candidate, candidates: Iterable[Candidate]) -> tuple[Alternative, ...]:
        best: dict[int, float] = {}
        for rival in candidates:
            if _ALTERNATIVE_FLOOR <= rival.probability <= winner.probability and self._are_rivals(rival, winner):
                best[rival.entry_index] = max(rival.probability, best.get(rival.entry_index, 0.0))
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:_MAX_ALTERNATIVES]
        return tuple(self._alternative(self._entries[index], score) for index, score in ranked)

    def _are_rivals(self, one: Candidate, other: Candidate) -> bool:
        """True for two entries of which only one can have been said on a stretch of audio.

        "Conference" and "conference number" can both have been said, whatever the part of the stretch they share.
        """
        if one.entry_index == other.entry_index or not _same_stretch(one, other):
            return False
        terms = (f" {self._entries[c.entry_index].term.lower()} " for c in (one, other))
        shorter, longer = sorted(terms, key=len)
        return shorter not in longer

    @staticmethod
    def _alternative(entry: TermEntry, score: float) -> Alternative:
        return Alternative(entry.entry_id, entry.term, entry.translations, score)

    def _forget(self, hop_start_sample: int) -> None:
        horizon = hop_start_sample - _MEMORY_SAMPLES - self._refractory
        self._emitted = [hint for hint in self._emitted if hint.end_sample >= horizon]


def _same_stretch(one: Candidate, other: Candidate) -> bool:
    shared = min(one.end_sample, other.end_sample) - max(one.start_sample, other.start_sample)
    union = max(one.end_sample, other.end_sample) - min(one.start_sample, other.start_sample)
    return shared > _SAME_STRETCH_IOU * union
