"""What every hop of a long stream gave for each candidate, recorded once and judged many times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streaming.decision import Candidate
from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Entry, Form
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES
from streaming.spotting.evidence import Evidence, Sightings
from training.evaluation.stream_metrics import Reference


@dataclass(frozen=True, slots=True)
class Hop:
    """The evidence of one hop; samples on the stream's clock."""

    start_sample: int
    end_sample: int
    context_start_sample: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class StreamEvidence:
    """All hops of one stream with one glossary, and the truth."""

    name: str
    size: int
    reference: Reference
    entries: Sequence[Entry]
    forms: Sequence[Form]
    hops: tuple[Hop, ...]


class RecordingScorer:
    """A `Scorer` that keeps the evidence of several indices on one encoder pass and proposes nothing."""

    def __init__(self, scorers: Mapping[str, TermScorer]) -> None:
        self._scorers = scorers
        self.hops: dict[str, list[Hop]] = {name: [] for name in scorers}

    def reset(self) -> None:
        """Forget what was recorded."""
        for hops in self.hops.values():
            hops.clear()

    @property
    def nbytes(self) -> int:
        """Of all its scorers."""
        return sum(scorer.nbytes for scorer in self._scorers.values())

    @property
    def looks_again(self) -> bool:
        """Whether any of them would."""
        return any(scorer.looks_again for scorer in self._scorers.values())

    @property
    def sightings(self) -> Sightings:
        """Nothing: the index is never replaced here."""
        return {}

    def go_on_from(self, sightings: Sightings) -> None:
        """Never asked to: the index is never replaced here."""

    def score(
        self, encoded: EncodedContext, context_start_sample: int, hop_end_sample: int, first_hop_frame: int
    ) -> Sequence[Candidate]:
        """Record; always empty."""
        start = context_start_sample + first_hop_frame * FRAME_SAMPLES
        for name, scorer in self._scorers.items():
            evidence = tuple(scorer.evidence(encoded, first_hop_frame, context_start_sample))
            self.hops[name].append(Hop(start, hop_end_sample, context_start_sample, evidence))
        return []
