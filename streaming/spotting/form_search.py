"""The forms of an index whose symbols fit the newest frames of a stream.

A small glossary is aligned whole, its paths carried from hop to hop; of a large one, the span search proposes the forms
that are aligned in each context.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.index.searched_index import SearchedIndex
from streaming.spans import SpanGrid, part_shares, pool_spans, pooled_by
from streaming.spotting.alignment import locate
from streaming.spotting.evidence import Evidence, evidence_of
from streaming.spotting.form_bank import CarriedForms, FormBank, FormScores
from streaming.spotting.form_proposals import FormProposals, proposals_of
from streaming.spotting.scoring_config import USUAL_HOP, ScoringConfig


@dataclass(frozen=True, slots=True)
class IndexTables:
    """What is made of an index; where streams share it, each is given what was made before.

    Attributes:
        bank_of: an index -> the bank of all its forms, for a small one.
        proposals_of: an index -> what proposes its forms, for a large one.
    """

    bank_of: Callable[[SearchedIndex], FormBank]
    proposals_of: Callable[[SearchedIndex], FormProposals]


class SpanEncoder(Protocol):
    """Pooled spans -> vectors in the space of the index."""

    @property
    def hubs(self) -> NDArray[np.float32]:
        """float32[k, dim], what spans of any speech are like (`streaming.spotting.span_hubs`)."""
        ...

    def embed(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n, 6·width] -> float32[n, dim], unit norm."""
        ...


def tables_for(spans: SpanEncoder, config: ScoringConfig) -> IndexTables:
    """Tables made anew for whoever asks."""
    return IndexTables(
        lambda index: FormBank(index.forms), lambda index: proposals_of(index, spans.hubs, config.neighbours_per_span)
    )


class FormSearch:
    """Finds the forms of one index in one stream."""

    def __init__(
        self, index: SearchedIndex, spans: SpanEncoder, config: ScoringConfig, tables: IndexTables | None = None
    ) -> None:
        """Begin a stream; `tables` gives what streams share of an index."""
        self._index, self._spans, self._config = index, spans, config
        self._tables = tables or tables_for(spans, config)
        self._grid = SpanGrid()
        self._whole: CarriedForms | None = None
        self._near: FormProposals | None = None
        # Made now, so that no hop waits for it.
        if len(index.forms) <= config.exhaustive_forms:
            self._whole = CarriedForms(self._tables.bank_of(index), config.floor)
        else:
            self._near = self._tables.proposals_of(index)

    @property
    def nbytes(self) -> int:
        """Memory of the paths that are carried on."""
        return 0 if self._whole is None else self._whole.nbytes

    def reset(self) -> None:
        """Forget the stream."""
        if self._whole is not None:
            self._whole.reset()

    def find(
        self, encoded: EncodedContext, first_frame: int, first_end: int, hop_frames: int = USUAL_HOP
    ) -> list[Evidence]:
        """The forms that fit well enough, best first.

        Args:
            encoded: a context.
            first_frame: the frame of the stream with which it begins.
            first_end: its row from which on they may end.
            hop_frames: how many of its frames, the newest, have not been searched yet.
        """
        if self._whole is not None:
            chosen = np.arange(len(self._index.forms))
            scores = self._whole.score(encoded, first_frame, first_end)
        else:
            chosen = self.proposals(encoded, hop_frames)
            bank = FormBank([self._index.forms[i] for i in chosen.tolist()])
            scores = bank.score(encoded, first_end, self._config.floor)
        mean = scores.mean
        rows = np.argsort(-mean, kind="stable")[: self._config.most]
        rows = rows[mean[rows] > self._config.floor]
        return [self._placed(encoded, int(chosen[row]), scores, int(row)) for row in rows]

    def proposals(self, encoded: EncodedContext, hop_frames: int = USUAL_HOP) -> NDArray[np.int64]:
        """The forms nearest to any span that ended just now, best first: int64[≤ proposals]."""
        newest = self._config.proposal_frames + max(0, hop_frames - USUAL_HOP)
        shares = _shares_of(self._grid, len(encoded.frames), newest)
        spans = self._spans.embed(pooled_by(shares, encoded.frames))
        if self._near is None:
            self._near = self._tables.proposals_of(self._index)
        return self._near.nearest(self._index, spans, self._config.proposals)

    def similarities(self, encoded: EncodedContext, found: Sequence[Evidence]) -> list[float]:
        """The cosine of each form's own span to the form."""
        if not found:
            return []
        spans = np.array([[e.start, e.end + 1] for e in found], np.int32)
        vectors = self._spans.embed(pool_spans(encoded.frames, spans))
        of_forms = self._index.vectors_of([evidence.form_index for evidence in found])
        return [float(vector @ of_form) for vector, of_form in zip(vectors, of_forms, strict=True)]

    def _placed(self, encoded: EncodedContext, form_index: int, scores: FormScores, row: int) -> Evidence:
        """Where the paths of one form lie, and what they say by themselves."""
        form = self._index.forms[form_index]
        by_characters = locate(encoded.characters, form.characters, int(scores.character_end[row]))
        by_phonemes = by_characters
        if scores.winner[row] >= 0:
            way = form.pronunciations[scores.winner[row]]
            by_phonemes = locate(encoded.phonemes, way, int(scores.phoneme_end[row]))
        background = self._index.background[form_index]
        return evidence_of(form_index, form, by_characters, by_phonemes, background, len(encoded.characters))


@functools.lru_cache(maxsize=8)
def _shares_of(grid: SpanGrid, n_frames: int, newest: int) -> NDArray[np.float32]:
    """Of the spans that end in the newest frames: read only, and the same for all streams of one length of context."""
    shares = part_shares(n_frames, grid.grid(n_frames, n_frames - newest))
    shares.setflags(write=False)
    return shares
