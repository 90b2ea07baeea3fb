"""One encoded context -> scored candidates: alignment, evidence, probability.

The forms whose symbols fit (`spotting/form_search.py`) must compete with what else could have been said there: common
words, and each other. What an earlier hop saw of the same stretch counts too, and how likely a verifier holds the text.
The calibration weighs the evidence into one probability per entry.
"""

from collections.abc import Sequence
from dataclasses import replace

from streaming.calibration import Calibration, stack_features
from streaming.decision import Candidate
from streaming.encoding.encoded_context import EncodedContext
from streaming.index.searched_index import SearchedIndex
from streaming.spans import FRAME_SAMPLES
from streaming.spotting.competing_forms import CompetingForms
from streaming.spotting.evidence import Evidence, Sighting, Sightings
from streaming.spotting.form_bank import rounded_down
from streaming.spotting.form_search import FormSearch, IndexTables, SpanEncoder
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.span_reading import SpanReader
from streaming.spotting.verifier import Verifier
from streaming.words.competition import Competition

# Of candidates less likely than this nobody asks for the cosine of their span, which costs a run of its own.
_WORTH_TELLING = 0.01


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
        tables: IndexTables | None = None,
    ) -> None:
        self._index, self._calibration = index, calibration
        self._config = config or ScoringConfig()
        self.forms = FormSearch(index, spans, self._config, tables)
        self._competing = None
        if competition is not None:
            self._competing = CompetingForms(competition, index, self._config.competing_floor)
        self._reader = None
        if verifier is not None:
            self._reader = SpanReader(verifier, lambda form: index.forms[form].text, self._config.reading)
        self._earlier: Sightings = {}
        self._looks_again = False

    @property
    def looks_again(self) -> bool:
        """Whether a form that fits well waits at the edge of the last hop for what comes after it."""
        return self._looks_again

    @property
    def nbytes(self) -> int:
        """Memory of the paths and words that are carried on."""
        return self.forms.nbytes + (0 if self._competing is None else self._competing.nbytes)

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
        self._looks_again = False
        for part in (self.forms, self._competing, self._reader):
            if part is not None:
                part.reset()

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """The candidates of one hop, the best form of each entry, most probable first; tentative ones last."""
        evidence = self.evidence(encoded, first_hop_frame, context_start_sample)
        if not evidence:
            return []
        probabilities = self._calibration.probability(stack_features([e.features for e in evidence]))
        weighed = list(zip(evidence, probabilities.tolist(), strict=True))
        told = [found for found, probability in weighed if probability >= _WORTH_TELLING]
        similarity = dict(zip(map(id, told), self.forms.similarities(encoded, told), strict=True))
        candidates = [
            Candidate(
                entry_index=self._index.forms[found.form_index].entry_index,
                form_index=found.form_index,
                start_sample=context_start_sample + found.start * FRAME_SAMPLES,
                end_sample=min(context_start_sample + (found.end + 1) * FRAME_SAMPLES, hop_end_sample),
                probability=probability,
                raw_similarity=similarity.get(id(found)),
                is_tentative=found.is_tentative,
            )
            for found, probability in weighed
        ]
        return [*_best_of_entries(candidates, tentative=False), *_best_of_entries(candidates, tentative=True)]

    def evidence(self, encoded: EncodedContext, first_hop_frame: int, context_start_sample: int = 0) -> list[Evidence]:
        """What speaks for each form that fits well enough, best mean score first."""
        hop_frames = len(encoded.characters) - first_hop_frame
        frames = len(encoded.characters) - self._config.settle_frames
        first_frame = context_start_sample // FRAME_SAMPLES
        encoded = encoded.first(frames)
        first_end = max(0, min(first_hop_frame - self._config.settle_frames, frames - self._config.late_frames))
        first_end = rounded_down(first_frame, first_end)
        found = self.forms.find(encoded, first_frame, first_end, hop_frames)
        if self._competing is not None:
            self._competing.compete(encoded, found, first_frame, first_end)
        self._recall(found, first_frame)
        found = [replace(e, is_tentative=True) if self._needs_second_look(e, frames) else e for e in found]
        floor = self._config.look_again_floor
        self._looks_again = any(evidence.is_tentative and evidence.mean > floor for evidence in found)
        if not self._config.tells_tentative:
            found = [evidence for evidence in found if not evidence.is_tentative]
        if self._reader is not None and encoded.hidden is not None:
            found = self._reader.read(encoded, found, first_frame)
        return found

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


def _best_of_entries(candidates: Sequence[Candidate], *, tentative: bool) -> list[Candidate]:
    """The best form of each entry, most probable first; of equal ones the first."""
    best: dict[int, Candidate] = {}
    for candidate in candidates:
        if candidate.is_tentative == tentative:
            there = best.get(candidate.entry_index)
            if there is None or candidate.probability > there.probability:
                best[candidate.entry_index] = candidate
    return sorted(best.values(), key=lambda c: (-c.probability, c.entry_index))
