"""One encoded context -> scored candidates: proposals, alignment, evidence, probability.

A small glossary is aligned whole; of a large one, the span search proposes the forms that are aligned. The forms that
fit must then compete with what else could have been said there: common words, and each other. What an earlier hop saw
of the same stretch counts too, and how likely a verifier holds the text. The calibration weighs the evidence into one
probability per entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.alignment import locate
from streaming.calibration import Calibration, stack_features
from streaming.competition import Competition, Heard
from streaming.decision import Candidate
from streaming.encoded_context import EncodedContext
from streaming.evidence import (
    MOST_NATS,
    MOST_NATS_OVER_NEIGHBOUR,
    Evidence,
    Sighting,
    Sightings,
    evidence_of,
)
from streaming.form_bank import FormBank
from streaming.searched_index import SearchedIndex
from streaming.span_reading import ReadingConfig, SpanReader
from streaming.spans import FRAME_SAMPLES, SpanGrid, pool_spans
from streaming.verifier import Verifier

# A term lies within so many frames before and after where its symbols alone place it.
_REACH_BEFORE, _REACH_AFTER = 25, 20
# Two forms of which both cannot have been said share more than this part of their union.
_SAME_STRETCH_IOU = 0.5


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
        second_look_frames: a form first seen to end in so many newest frames waits for the next hop.
        tells_tentative: whether such forms are told already, as tentative ones.
        reading: which candidates the verifier reads.
    """

    exhaustive_forms: int = 1500
    proposals: int = 150
    proposal_frames: int = 32
    neighbours_per_span: int = 10
    late_frames: int = 64
    floor: float = -3.0
    most: int = 16
    settle_frames: int = 4
    competing_floor: float = -2.5
    second_look_frames: int = 6
    tells_tentative: bool = False
    reading: ReadingConfig = field(default_factory=ReadingConfig)


class TermScorer:
    """Scores the entries of one index on the contexts of one stream."""

    def __init__(
        self,
        index: SearchedIndex,
        spans: SpanEncoder,
        calibration: Calibration,
        config: ScoringConfig | None = None,
        competition: Competition | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self._index, self._spans, self._calibration = index, spans, calibration
        self._config = config or ScoringConfig()
        self._competition = competition
        self._reader = None
        if verifier is not None:
            self._reader = SpanReader(verifier, lambda form: index.forms[form].text, self._config.reading)
        self._earlier: Sightings = {}
        self._grid = SpanGrid()
        self._whole = FormBank(index.forms) if len(index.forms) <= self._config.exhaustive_forms else None

    @property
    def sightings(self) -> Sightings:
        """What the last hop saw, for a scorer that goes on with the stream over another index."""
        return self._earlier

    def go_on_from(self, sightings: Sightings) -> None:
        """Remember what the last hop of this stream saw, over whatever index."""
        self._earlier = sightings

    def reset(self) -> None:
        """Forget what earlier hops saw."""
        self._earlier = {}
        if self._reader is not None:
            self._reader.reset()

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """The candidates of one hop, the best form of each entry, most probable first; tentative ones last."""
        evidence = self.evidence(encoded, first_hop_frame, context_start_sample)
        certain = self._candidates([e for e in evidence if not e.is_tentative], context_start_sample, hop_end_sample)
        tentative = self._candidates([e for e in evidence if e.is_tentative], context_start_sample, hop_end_sample)
        return [*certain, *(replace(candidate, is_tentative=True) for candidate in tentative)]

    def _candidates(
        self, evidence: Sequence[Evidence], context_start_sample: int, hop_end_sample: int
    ) -> list[Candidate]:
        """The best form of each entry, most probable first."""
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
        frames = len(encoded.characters) - self._config.settle_frames
        encoded = encoded.first(frames)
        first_end = max(0, min(first_hop_frame - self._config.settle_frames, frames - self._config.late_frames))
        if self._whole is not None:
            chosen, bank = np.arange(len(self._index.forms)), self._whole
        else:
            chosen = self.proposals(encoded)
            bank = FormBank([self._index.forms[i] for i in chosen.tolist()])
        characters, character_end, phonemes, phoneme_end, winner = bank.score(encoded, first_end, self._config.floor)
        mean = (characters + phonemes) / 2
        rows = np.argsort(-mean, kind="stable")[: self._config.most]
        found = []
        for row in rows[mean[rows] > self._config.floor]:
            form = self._index.forms[int(chosen[row])]
            by_characters = locate(encoded.characters, form.characters, int(character_end[row]))
            by_phonemes = by_characters
            if winner[row] >= 0:
                by_phonemes = locate(encoded.phonemes, form.pronunciations[winner[row]], int(phoneme_end[row]))
            background = self._index.background[int(chosen[row])]
            found.append(evidence_of(int(chosen[row]), form, by_characters, by_phonemes, background, frames))
        self._compete(encoded, found, first_end)
        self._recall(found, context_start_sample // FRAME_SAMPLES)
        found = [replace(e, is_tentative=True) if self._needs_second_look(e, frames) else e for e in found]
        if not self._config.tells_tentative:
            found = [evidence for evidence in found if not evidence.is_tentative]
        if self._reader is not None and encoded.hidden is not None:
            found = self._reader.read(encoded, found, context_start_sample // FRAME_SAMPLES)
        return self._with_similarity(encoded, found)

    def _compete(self, encoded: EncodedContext, found: Sequence[Evidence], first_end: int) -> None:
        """Add what each form's best reading of the context has over those of rivals and of the other forms."""
        strong = [e for e in found if e.mean > self._config.competing_floor]
        if self._competition is None:
            return
        for evidence in found:
            # What a form has that cannot compete.
            evidence.features.update(characters_over_rivals=-MOST_NATS / 2, phonemes_over_rivals=-MOST_NATS / 2)
        if not strong:
            return
        heard = self._competition.hear(encoded)
        readings = [self._read(self._competition, heard, evidence, first_end) for evidence in strong]
        for evidence, reading in zip(strong, readings, strict=True):
            evidence.features["over_neighbour"] = min(
                [MOST_NATS_OVER_NEIGHBOUR]
                + [
                    max(-MOST_NATS_OVER_NEIGHBOUR, reading - other)
                    for neighbour, other in zip(strong, readings, strict=True)
                    if self._exclude_each_other(evidence, neighbour)
                ]
            )

    def _recall(self, found: Sequence[Evidence], first_frame: int) -> None:
        """Add what the last hop saw of each form on the same stretch, and keep what this one sees."""
        seen = {}
        for evidence in found:
            form = self._index.forms[evidence.form_index]
            key = (self._index.entries[form.entry_index].entry_id, form.text)
            now = Sighting.of(evidence, first_frame)
            before = self._earlier.get(key)
            if before is not None and before.is_same(now):
                evidence.features.update(seen_before=1.0, over_free_before=before.over_free)
            seen[key] = now
        self._earlier = seen

    def _needs_second_look(self, evidence: Evidence, frames: int) -> bool:
        """Whether a form is seen for the first time, and so near the edge that the word may go on ("extension")."""
        is_at_edge = frames - 1 - evidence.end < self._config.second_look_frames
        return is_at_edge and not evidence.features["seen_before"]

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
            evidence.features[f"{name}_over_rivals"] = float(np.clip(ratio.over_rivals, -MOST_NATS, MOST_NATS))
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

    def _with_similarity(self, encoded: EncodedContext, found: list[Evidence]) -> list[Evidence]:
        """Add the cosine of each candidate's own span to its form."""
        if not found:
            return found
        spans = np.array([[e.start, e.end + 1] for e in found], np.int32)
        vectors = self._spans.embed(pool_spans(encoded.frames, spans))
        of_forms = self._index.vectors_of([evidence.form_index for evidence in found])
        for evidence, vector, of_form in zip(found, vectors, of_forms, strict=True):
            evidence.features["similarity"] = float(vector @ of_form)
        return found
