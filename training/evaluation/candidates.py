"""What the span search proposes before anything is verified: recall@k of spoken terms on a long stream.

An occurrence is found at k if its entry is among the first k distinct entries that `FormSearch.proposals` names in one
hop that is heard (the voice detector lets it through) and ends at most `WINDOW_S` after the term: then the newest
frames of the context cover the term's end. As a hop is 0.32 s, that is two hops, three where a term ends with a hop.
Proposals are forms, cut where serving cuts them; several forms of an entry count as one, so that the depth 100 can hold
fewer entries and says what the verification of a large glossary gets to see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.decision import Candidate
from streaming.decision_config import DecisionConfig
from streaming.encoding.encoded_context import EncodedContext
from streaming.events import SAMPLE_RATE
from streaming.pipeline import FrameEncoder, Pipeline
from streaming.pipeline_config import PipelineConfig
from streaming.spotting.evidence import Sightings
from streaming.term_index import TermIndex
from streaming.vad import VoiceDetector
from training.evaluation.collect import LongStream
from training.evaluation.stream_evidence import StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference
from training.evaluation.streams import in_its_terms

DEPTHS: tuple[int, ...] = (10, 50, 100)
WINDOW_S = 0.64
_CHUNK_BYTES = 64_000


class Proposer(Protocol):
    """A `FormSearch`, as far as it is watched here."""

    def proposals(self, encoded: EncodedContext, hop_frames: int) -> NDArray[np.int64]:
        """Forms, the best first, of a context whose newest frames are those of the hop."""
        ...


@dataclass(frozen=True, slots=True)
class ProposedHop:
    """One hop that was heard: its end in samples, and the entries proposed, int64[n], each once, the best first."""

    end_sample: int
    entries: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CandidateRecall:
    """One line of the table: recall at each of `DEPTHS`, and how many entries a hop proposes on average."""

    stream: str
    entries: int
    occurrences: int
    recall: tuple[float, ...]
    mean_proposed: float


class ProposalRecorder:
    """A `Scorer` that keeps the proposals of several indexes on one encoder pass and scores nothing."""

    def __init__(self, scorers: Mapping[str, Proposer], indexes: Mapping[str, TermIndex]) -> None:
        self._scorers = scorers
        self._entry_of = {
            name: np.array([form.entry_index for form in index.forms], np.int64) for name, index in indexes.items()
        }
        self.hops: dict[str, list[ProposedHop]] = {name: [] for name in scorers}

    def reset(self) -> None:
        """Forget what was recorded."""
        for hops in self.hops.values():
            hops.clear()

    @property
    def nbytes(self) -> int:
        """Nothing."""
        return 0

    @property
    def looks_again(self) -> bool:
        """Never: nothing is decided."""
        return False

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
        hop_frames = len(encoded.frames) - first_hop_frame
        for name, scorer in self._scorers.items():
            entries = distinct(self._entry_of[name][scorer.proposals(encoded, hop_frames)])
            self.hops[name].append(ProposedHop(hop_end_sample, entries))
        return []


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value once, where it stands first."""
    _, first = np.unique(values, return_index=True)
    return values[np.sort(first)]


def record_proposals(
    stream: LongStream,
    recorder: ProposalRecorder,
    index: TermIndex,
    encoder: FrameEncoder,
    detector: VoiceDetector,
    context_ms: int,
) -> dict[str, tuple[ProposedHop, ...]]:
    """Feed one stream through the pipeline that is served; `index` is any of those recorded."""
    pipeline = Pipeline(
        encoder, index, recorder, detector, PipelineConfig(decision=DecisionConfig(1.0), context_ms=context_ms)
    )
    for first in range(0, len(stream.pcm), _CHUNK_BYTES):
        pipeline.feed(stream.pcm[first : first + _CHUNK_BYTES])
    pipeline.finish()
    return {name: tuple(hops) for name, hops in recorder.hops.items()}


def occurrence_ranks(
    occurrences: Sequence[Occurrence],
    entry_of_term: Mapping[str, int],
    hops: Sequence[ProposedHop],
    window_s: float = WINDOW_S,
) -> NDArray[np.int64]:
    """The best place of each occurrence's entry in a hop of its window: int64[o], 1 the first, 0 where it is in none.

    Args:
        occurrences: of terms that `entry_of_term` holds, in any order.
        entry_of_term: term -> entry.
        hops: in the order of time.
        window_s: hops count that end so many seconds after the term at most, and not before its end.
    """
    ends = np.array([hop.end_sample for hop in hops], np.int64)
    ranks = np.zeros(len(occurrences), np.int64)
    for row, occurrence in enumerate(occurrences):
        end = round(occurrence.end * SAMPLE_RATE)
        first = int(np.searchsorted(ends, end, "left"))
        last = int(np.searchsorted(ends, end + round(window_s * SAMPLE_RATE), "right"))
        entry = entry_of_term[occurrence.term]
        places = [int(np.flatnonzero(hop.entries == entry)[0]) for hop in hops[first:last] if entry in hop.entries]
        ranks[row] = min(places, default=-1) + 1
    return ranks


def recall_at(ranks: NDArray[np.int64], depth: int) -> float:
    """Share of occurrences among the first `depth`; NaN without any."""
    return float(((ranks > 0) & (ranks <= depth)).mean()) if len(ranks) else float("nan")


def candidate_recall(
    name: str, reference: Reference, index: TermIndex, hops: Sequence[ProposedHop], depths: Sequence[int] = DEPTHS
) -> CandidateRecall:
    """Judge the proposals of one stream; occurrences of terms that the glossary lacks do not count."""
    evidence = StreamEvidence(name, len(index.entries), reference, index.entries, index.forms, ())
    occurrences = in_its_terms(evidence).reference.occurrences
    ranks = occurrence_ranks(occurrences, {entry.term: i for i, entry in enumerate(index.entries)}, hops)
    return CandidateRecall(
        name,
        len(index.entries),
        len(occurrences),
        tuple(recall_at(ranks, depth) for depth in depths),
        float(np.mean([len(hop.entries) for hop in hops])) if hops else 0.0,
    )
