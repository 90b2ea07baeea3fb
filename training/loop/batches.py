"""Rows -> batches of tensors: audio read, changed and turned into features; terms tokenised; labels as integers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming.features import LogMel
from streaming.spans import FRAME_SAMPLES
from training.corpus.audio import AudioError, read_stretch
from training.corpus.examples import Example
from training.corpus.keys import key_of, normal_form
from training.loop.rows import AlignmentTarget, Pronounce, RowSpans, alignment_target, crop, draw_spans
from training.models.interfaces import RetrieverInputs, RetrieverLabels, Tokens
from training.speech.augmentation import AugmentationConfig, augment

_NONE = -1
_UNKNOWN_TEXT = "a"  # stands in for an unknown transcript, which no loss looks at


class TermTexts(Protocol):
    """What a glossary knows of terms (`training.corpus.glossary.TrainingGlossary`)."""

    def group_of(self, normal: str) -> int:
        """The same non-negative number for variants, aliases and translations of one entry."""
        ...

    def text_of(self, term: str, text_field: Literal["term", "short_description"]) -> str:
        """What the text tower reads for a term."""
        ...


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How rows become tensors.

    Attributes:
        mel_bins: of the features.
        spans_per_row: spans beside the covering ones.
        text_field: what the text tower reads for a term.
        with_texts: whether transcripts are tokenised too.
        augmentation: None leaves the audio as it is.
    """

    mel_bins: int
    spans_per_row: int
    text_field: Literal["term", "short_description"] = "term"
    with_texts: bool = True
    augmentation: AugmentationConfig | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step, the terms of its columns, and the rows that could not be read."""

    inputs: RetrieverInputs
    labels: RetrieverLabels
    terms: tuple[str, ...]
    bad: tuple[AudioError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    example: Example
    audio: NDArray[np.float32]
    spans: RowSpans
    target: AlignmentTarget


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    longest = max(1, max(map(len, rows), default=1))
    return torch.tensor([[*row, *[_NONE] * (longest - len(row))] for row in rows], dtype=torch.int64)


class BatchMaker:
    """Makes the batch of any rows; the same rows and generator give the same batch."""

    def __init__(
        self, config: BatchConfig, tokenise: Callable[[Sequence[str]], Tokens], texts: TermTexts, pronounce: Pronounce
    ) -> None:
        self._config, self._tokenise, self._texts, self._pronounce = config, tokenise, texts, pronounce
        self._log_mel = LogMel(config.mel_bins)

    def make(self, examples: Sequence[Example], lengths: Sequence[int], rng: np.random.Generator) -> Batch | None:
        """The batch of the rows that can be read; None where no row can.

        Args:
            examples: n rows.
            lengths: samples of each row's audio.
            rng: draws stretches, spans and changes.
        """
        rows, bad = [], []
        for example, samples in zip(examples, lengths, strict=True):
            cut = crop(example, samples, rng)
            try:
                rows.append(self._row(cut, read_stretch(cut), rng))
            except AudioError as error:
                bad.append(error)
        if not rows:
            return None
        if self._config.augmentation is not None:
            rows = self._changed(rows, self._config.augmentation, rng)
        columns = list(dict.fromkeys(normal_form(t.term) for row in rows for t in row.example.terms))
        written = {normal_form(t.term): t.term for row in reversed(rows) for t in row.example.terms}
        # A batch of no-term rows alone still needs a column for the towers' pass.
        texts = [self._texts.text_of(written[c], self._config.text_field) for c in columns] or [_UNKNOWN_TEXT]
        inputs = self._inputs(rows, texts)
        labels = replace(self._labels(rows, columns), frames=inputs.frames, spans=inputs.spans)
        return Batch(inputs, labels, tuple(columns), tuple(bad))

    def _row(self, example: Example, audio: NDArray[np.float32], rng: np.random.Generator) -> _Row:
        frames = len(audio) // FRAME_SAMPLES
        spans = draw_spans(example.terms, frames, self._config.spans_per_row, rng)
        target = alignment_target(example.words, frames * FRAME_SAMPLES, self._pronounce)
        return _Row(example, audio[: frames * FRAME_SAMPLES], spans, target)

    def _changed(self, rows: list[_Row], config: AugmentationConfig, rng: np.random.Generator) -> list[_Row]:
        """Every row changed, with the speech of the row before it as babble."""
        changed = []
        for i, row in enumerate(rows):
            babble = np.resize(rows[i - 1].audio, len(row.audio))
            changed.append(replace(row, audio=augment(row.audio, babble, config, rng)))
        return changed

    def _inputs(self, rows: Sequence[_Row], term_texts: Sequence[str]) -> RetrieverInputs:
        frames = [len(row.audio) // FRAME_SAMPLES for row in rows]
        mel = torch.zeros(len(rows), self._config.mel_bins, 2 * max(frames))
        spans = torch.zeros(len(rows), max(len(row.spans.spans) for row in rows), 2, dtype=torch.int64)
        spans[:, :, 1] = 1
        for i, row in enumerate(rows):
            mel[i, :, : 2 * frames[i]] = torch.from_numpy(self._log_mel(row.audio))
            spans[i, : len(row.spans.spans)] = torch.from_numpy(row.spans.spans)
        texts = [row.example.text or _UNKNOWN_TEXT for row in rows]
        with_texts = self._config.with_texts and any(row.example.text for row in rows)
        return RetrieverInputs(
            mel,
            torch.tensor(frames),
            spans,
            self._tokenise(term_texts),
            self._tokenise(texts) if with_texts else None,
        )

    def _labels(self, rows: Sequence[_Row], columns: Sequence[str]) -> RetrieverLabels:
        place = {column: i for i, column in enumerate(columns)}
        said = [[normal_form(t.term) for t in row.example.terms] for row in rows]
        covering = {(i, place[said[i][term]], span) for i, row in enumerate(rows) for term, span in row.spans.covering}
        return RetrieverLabels(
            row_terms=_padded([[key_of(term) for term in terms] for terms in said]),
            term_keys=torch.tensor([key_of(c) for c in columns] or [_NONE]),
            term_groups=torch.tensor([self._texts.group_of(c) for c in columns] or [_NONE]),
            row_groups=_padded([[self._texts.group_of(term) for term in terms] for terms in said]),
            covering=torch.tensor(sorted(covering), dtype=torch.int64).reshape(-1, 3),
            text_keys=torch.tensor([key_of(row.example.text) if row.example.text else _NONE for row in rows]),
            no_term=torch.tensor([row.example.is_no_term for row in rows]),
            characters=tuple(torch.from_numpy(row.target.characters) for row in rows),
            phonemes=tuple(torch.from_numpy(row.target.phonemes) for row in rows),
            left=torch.tensor([row.target.left for row in rows]),
            right=torch.tensor([row.target.right for row in rows]),
        )

    def with_negatives(self, batch: Batch, terms: Sequence[str]) -> Batch:
        """The batch with more columns, of terms that its rows do not hold; those that it has already are left out."""
        new = [t for t in dict.fromkeys(map(normal_form, terms)) if t not in batch.terms]
        if not new:
            return batch
        columns = [*batch.terms, *new]
        texts = [self._texts.text_of(c, self._config.text_field) for c in columns]
        keys = torch.tensor([key_of(c) for c in columns])
        groups = torch.tensor([self._texts.group_of(c) for c in columns])
        return replace(
            batch,
            inputs=replace(batch.inputs, terms=self._tokenise(texts)),
            labels=replace(batch.labels, term_keys=keys, term_groups=groups),
            terms=tuple(columns),
        )
