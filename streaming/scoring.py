"""One encoded context -> scored candidates: proposals, alignment, evidence, probability.

A small glossary is aligned whole; of a large one, the span search proposes the forms that are aligned. The forms that
fit must then compete with what else could have been said there: common words, and each other. What an earlier hop saw
of the same stretch counts too. The calibration weighs the evidence into one probability per entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.alignment import AlignmentBank, Span, locate
from streaming.calibration import Calibration, stack_features
from streaming.competition import Competition, Heard
from streaming.decision import Candidate
from streaming.encoder import EncodedContext
from streaming.entries import Form
from streaming.spans import FRAME_SAMPLES, SpanGrid, pool_spans
from streaming.symbols import CHARACTERS, PHONEMES
from streaming.term_index import TermIndex

# Nats beyond which a victory or a defeat says no more.
_MOST_NATS = 25.0
_MOST_NATS_OVER_NEIGHBOUR = 10.0
# What stands for the score of an earlier hop that did not see the form.
_NOT_SEEN = -2.0
# A term lies within so many frames before and after where its symbols alone place it.
_REACH_BEFORE, _REACH_AFTER = 25, 20
# Two forms of which both cannot have been said share more than this part of their union.
_SAME_STRETCH_IOU = 0.5
_SAME_SIGHTING_IOU = 0.4
_ROUNDING = 1e-3
_FRAMES_PER_PHONEME = 4.0  # 80 ms, the tempo at which the feature `tempo` is 0


class SpanEncoder(Protocol):
    """Pooled spans -> vectors in the space of the index."""

    def embed(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n, 6·width] -> float32[n, dim], unit norm."""
        ...


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """How candidates are found.

    Attributes:
        exhaustive_forms: a glossary of at most so many forms is aligned whole.
        proposals: forms taken from the span search of a larger glossary.
        proposal_frames: the spans searched end in so many frames before now.
        neighbours_per_span: index hits per span.
        late_frames: a path that ended up to so many frames ago may still become a hint.
        floor: mean log-probability per symbol under which a form is no candidate.
        most: candidates weighed per hop.
        settle_frames: the newest frames, which the encoder has heard too little after, are not scored yet.
        competing_floor: mean log-probability per symbol from which a form competes; a weaker one has lost.
    """

    exhaustive_forms: int = 1500
    proposals: int = 150
    proposal_frames: int = 32
    neighbours_per_span: int = 10
    late_frames: int = 64
    floor: float = -2.4
    most: int = 12
    settle_frames: int = 5
    competing_floor: float = -2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one form in one context: frames [start, end], the numbers of `calibration.FEATURES`.

    Beside these, `similarity` is told to the client: weighed with the others it lowers the recall on every stream of
    native speech (training/EXPERIMENTS.md).
    """

    form_index: int
    start: int
    end: int
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Sighting:
    """One form in one hop: frames [start, end] of the stream and how near it came to the best free path."""

    start: int
    end: int
    over_free: float

    def is_same(self, other: "_Sighting") -> bool:
        """Whether both lie on about the same stretch."""
        shared = min(self.end, other.end) - max(self.start, other.start)
        return shared > _SAME_SIGHTING_IOU * (max(self.end, other.end) - min(self.start, other.start))


def _settled(encoded: EncodedContext, newest: int) -> EncodedContext:
    end = len(encoded.characters) - newest
    return EncodedContext(encoded.characters[:end], encoded.phonemes[:end], encoded.frames[:end])


class FormBank:
    """The alignment banks of both heads over the same forms."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self._characters = AlignmentBank([f.characters for f in forms], len(CHARACTERS))
        spoken = [(row, p) for row, form in enumerate(forms) for p in form.pronunciations]
        self._phonemes = AlignmentBank([p for _, p in spoken], len(PHONEMES))
        rows = np.array([row for row, _ in spoken], np.int64)
        self._rows, self._starts = np.unique(rows, return_index=True)
        self._counts = np.diff([*self._starts, len(rows)])

    def score(
        self, encoded: EncodedContext, first_end: int, floor: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Per form: character score and end, phoneme score and end, the pronunciation that won (-1: there is none).

        Of a form whose mean score lies under `floor` one score may be minus infinity.
        """
        # No score is above 0: what one head leaves of the floor, the other must reach.
        both = None if floor is None else 2 * floor - _ROUNDING
        least = None if both is None else np.full(len(self._characters.lengths), both)
        by_characters = self._characters.score(encoded.characters, first_end, least)
        phoneme_score, phoneme_end = by_characters.score.copy(), by_characters.end.copy()
        winner = np.full(len(phoneme_score), -1, np.int64)
        if len(self._rows):
            if both is not None:
                left = both - np.maximum(by_characters.score, both)
                least = np.repeat(left[self._rows], self._counts)
            by_phonemes = self._phonemes.score(encoded.phonemes, first_end, least)
            best = np.maximum.reduceat(by_phonemes.score, self._starts)
            is_best = by_phonemes.score == np.repeat(best, self._counts)
            position = np.flatnonzero(is_best)
            owner = np.repeat(np.arange(len(self._rows)), self._counts)[position]
            _, first = np.unique(owner, return_index=True)
            chosen = position[first]
            phoneme_score[self._rows], phoneme_end[self._rows] = best, by_phonemes.end[chosen]
            winner[self._rows] = chosen - self._starts
        return by_characters.score, by_characters.end, phoneme_score, phoneme_end, winner


class TermScorer:
    """Scores the entries of one index on the contexts of one stream."""

    def __init__(
        self,
        index: TermIndex,
        spans: SpanEncoder,
        calibration: Calibration,
        config: ScoringConfig | None = None,
        competition: Competition | None = None,
    ) -> None:
        self._index, self._spans, self._calibration = index, spans, calibration
        self._config = config or ScoringConfig()
        self._competition = competition
        self._earlier: dict[int, _Sighting] = {}
        self._grid = SpanGrid()
        self._vectors = index.vectors
        self._whole = FormBank(index.forms) if len(index.forms) <= self._config.exhaustive_forms else None

    def reset(self) -> None:
        """Forget what earlier hops saw."""
        self._earlier = {}

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """The candidates of one hop, the best form of each entry, most probable first."""
        evidence = self.evidence(encoded, first_hop_frame, context_start_sample)
        if not evidence:
            return []
        probabilities = self._calibration.probability(stack_features([e.features for e in evidence]))
        best: dict[int, Candidate] = {}
        for found, probability in zip(evidence, probabilities, strict=True):
            entry = self._index.forms[found.form_index].entry_index
            if entry in best and best[entry].probability >= probability:
                continue
            best[entry] = Candidate(
                entry_index=entry,
                form_index=found.form_index,
                start_sample=context_start_sample + found.start * FRAME_SAMPLES,
                end_sample=min(context_start_sample + (found.end + 1) * FRAME_SAMPLES, hop_end_sample),
                probability=float(probability),
                raw_similarity=found.features["similarity"],
            )
        return sorted(best.values(), key=lambda c: (-c.probability, c.entry_index))

    def proposals(self, encoded: EncodedContext) -> NDArray[np.int64]:
        """The forms nearest to any span that ended just now, best first: int64[≤ proposals]."""
        spans = self._grid.grid(len(encoded.frames), len(encoded.frames) - self._config.proposal_frames)
        vectors = self._spans.embed(pool_spans(encoded.frames, spans))
        ids, similarity = self._index.search(vectors, self._config.neighbours_per_span)
        order = np.argsort(-similarity.ravel(), kind="stable")
        ranked = ids.ravel()[order]
        _, first = np.unique(ranked, return_index=True)
        return ranked[np.sort(first)][: self._config.proposals].astype(np.int64)

    def evidence(self, encoded: EncodedContext, first_hop_frame: int, context_start_sample: int = 0) -> list[Evidence]:
        """What speaks for each form that fits well enough, best mean score first."""
        encoded = _settled(encoded, self._config.settle_frames)
        frames = len(encoded.characters)
        first_end = max(0, min(first_hop_frame - self._config.settle_frames, frames - self._config.late_frames))
        if self._whole is not None:
            chosen, bank = np.arange(len(self._index.forms)), self._whole
        else:
            chosen = self.proposals(encoded)
            bank = FormBank([self._index.forms[i] for i in chosen])
        characters, character_end, phonemes, phoneme_end, winner = bank.score(encoded, first_end, self._config.floor)
        mean = (characters + phonemes) / 2
        rows = np.argsort(-mean, kind="stable")[: self._config.most]
        found = []
        for row in rows[mean[rows] > self._config.floor]:
            form = self._index.forms[chosen[row]]
            by_characters = locate(encoded.characters, form.characters, int(character_end[row]))
            by_phonemes = by_characters
            if winner[row] >= 0:
                by_phonemes = locate(encoded.phonemes, form.pronunciations[winner[row]], int(phoneme_end[row]))
            found.append(self._weigh(int(chosen[row]), form, by_characters, by_phonemes, frames))
        self._compete(encoded, found, first_end)
        self._recall(found, context_start_sample // FRAME_SAMPLES)
        return self._with_similarity(encoded, found)

    def _compete(self, encoded: EncodedContext, found: Sequence[Evidence], first_end: int) -> None:
        """Add what each form's best reading of the context has over those of rivals and of the other forms."""
        strong = [e for e in found if self._mean(e) > self._config.competing_floor]
        if self._competition is None or not strong:
            return
        heard = self._competition.hear(encoded)
        readings = [self._read(self._competition, heard, evidence, first_end) for evidence in strong]
        for evidence, reading in zip(strong, readings, strict=True):
            evidence.features["over_neighbour"] = min(
                [_MOST_NATS_OVER_NEIGHBOUR]
                + [
                    max(-_MOST_NATS_OVER_NEIGHBOUR, reading - other)
                    for neighbour, other in zip(strong, readings, strict=True)
                    if self._exclude_each_other(evidence, neighbour)
                ]
            )

    def _recall(self, found: Sequence[Evidence], first_frame: int) -> None:
        """Add what the last hop saw of each form on the same stretch, and keep what this one sees."""
        seen = {}
        for evidence in found:
            now = _Sighting(
                first_frame + evidence.start,
                first_frame + evidence.end,
                (evidence.features["characters_over_free"] + evidence.features["phonemes_over_free"]) / 2,
            )
            before = self._earlier.get(evidence.form_index)
            if before is not None and before.is_same(now):
                evidence.features.update(seen_before=1.0, over_free_before=before.over_free)
            seen[evidence.form_index] = now
        self._earlier = seen

    @staticmethod
    def _mean(evidence: Evidence) -> float:
        return (evidence.features["characters"] + evidence.features["phonemes"]) / 2

    def _read(self, competition: Competition, heard: tuple[Heard, Heard], evidence: Evidence, first_end: int) -> float:
        """Fill in the ratios of one form; the mean score of its readings by both heads."""
        form = self._index.forms[evidence.form_index]
        words = competition.words_of(form.text)
        near = (max(0, evidence.start - _REACH_BEFORE), evidence.end + _REACH_AFTER)
        by_characters = competition.ratio(heard[0], [form.characters], words, near, first_end)
        by_phonemes = by_characters
        if form.pronunciations:
            by_phonemes = competition.ratio(heard[1], form.pronunciations, words, near, first_end)
        for name, ratio in (("characters", by_characters), ("phonemes", by_phonemes)):
            evidence.features[f"{name}_over_rivals"] = float(np.clip(ratio.over_rivals, -_MOST_NATS, _MOST_NATS))
        return (by_characters.reading + by_phonemes.reading) / 2

    def _exclude_each_other(self, one: Evidence, other: Evidence) -> bool:
        """Whether only one of two forms can have been said: another entry there, and neither is a part of the other."""
        forms = [self._index.forms[e.form_index] for e in (one, other)]
        shorter, longer = sorted((f" {form.text} " for form in forms), key=len)
        shared = min(one.end, other.end) - max(one.start, other.start)
        union = max(one.end, other.end) - min(one.start, other.start)
        return (
            forms[0].entry_index != forms[1].entry_index
            and shorter not in longer
            and shared > _SAME_STRETCH_IOU * union
        )

    def _weigh(self, form_index: int, form: Form, c: Span, p: Span, frames: int) -> Evidence:
        background = self._index.background[form_index]
        start, end = (c.start + p.start) // 2, (c.end + p.end) // 2
        length = len(form.pronunciations[0]) if form.pronunciations else len(form.characters)
        tempo = float(np.log(max(1, end - start) / (_FRAMES_PER_PHONEME * length)))
        features = {
            "characters": c.score,
            "phonemes": p.score,
            "least": min(c.score, p.score),
            "characters_over_free": c.score - c.free,
            "phonemes_over_free": p.score - p.free,
            "characters_over_background": c.score - float(background[1]),
            "phonemes_over_background": p.score - float(background[3]),
            "ends_apart": min(30.0, abs(c.end - p.end)),
            "starts_apart": min(30.0, abs(c.start - p.start)),
            "right_context": float(np.log1p(frames - 1 - end)),
            "length": float(np.log(length)),
            "tempo": tempo,
            "tempo_squared": tempo * tempo,
            "similarity": 0.0,
            # What a form has that cannot compete.
            "characters_over_rivals": 0.0 if self._competition is None else -_MOST_NATS / 2,
            "phonemes_over_rivals": 0.0 if self._competition is None else -_MOST_NATS / 2,
            "over_neighbour": _MOST_NATS_OVER_NEIGHBOUR,
            "seen_before": 0.0,
            "over_free_before": _NOT_SEEN,
        }
        return Evidence(form_index, start, end, features)

    def _with_similarity(self, encoded: EncodedContext, found: list[Evidence]) -> list[Evidence]:
        """Add the cosine of each candidate's own span to its form."""
        if not found:
            return found
        spans = np.array([[e.start, e.end + 1] for e in found], np.int32)
        vectors = self._spans.embed(pool_spans(encoded.frames, spans))
        for evidence, vector in zip(found, vectors, strict=True):
            evidence.features["similarity"] = float(vector @ self._vectors[evidence.form_index])
        return found
