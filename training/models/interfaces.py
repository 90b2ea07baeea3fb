"""What goes into a retriever and what comes out, and the ports of its towers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

Tokens: TypeAlias = Mapping[str, Tensor]
"""Named inputs of a text tower, each int64[n, l] padded with 0: `letters`, or `input_ids` and `attention_mask`."""


class AudioTower(Protocol):
    """Log-mel of several lengths -> frames, 50 a second, at true length: padding never changes a row."""

    frame_width: int
    mel_bins: int

    def __call__(self, mel: Tensor, frames: Tensor) -> Tensor:
        """float32[n, mel_bins, 2t] and int64[n] (true lengths, at most t) -> float32[n, t, frame_width], 0 beyond."""
        ...


class TextTower(Protocol):
    """Texts -> unit vectors in the space that spans share."""

    dim: int

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """At least one text -> the inputs of a call."""
        ...

    def __call__(self, tokens: Tokens) -> Tensor:
        """-> float32[n, dim], unit norm."""
        ...


@dataclass(frozen=True, slots=True)
class RetrieverInputs:
    """One batch, or a part of one.

    Attributes:
        mel: float32[n, mel_bins, 2t].
        frames: int64[n], true length of each row in frames of 20 ms.
        spans: int64[n, s, 2], first frame and last frame + 1 of each span; rows are filled up with [0, 1].
        terms: tokens of m texts of terms.
        texts: tokens of n transcripts, or None where the loss does not use them.
    """

    mel: Tensor
    frames: Tensor
    spans: Tensor
    terms: Tokens
    texts: Tokens | None

    def __len__(self) -> int:
        """Rows."""
        return len(self.frames)

    def to(self, device: torch.device) -> "RetrieverInputs":
        """The same on a device."""

        def moved(tokens: Tokens) -> Tokens:
            return {name: value.to(device, non_blocking=True) for name, value in tokens.items()}

        return RetrieverInputs(
            self.mel.to(device, non_blocking=True),
            self.frames.to(device, non_blocking=True),
            self.spans.to(device, non_blocking=True),
            moved(self.terms),
            None if self.texts is None else moved(self.texts),
        )

    def part(self, rows: slice, terms: slice) -> "RetrieverInputs":
        """Some rows and some terms of the batch."""

        def cut(tokens: Tokens, where: slice) -> Tokens:
            return {name: value[where] for name, value in tokens.items()}

        return RetrieverInputs(
            self.mel[rows],
            self.frames[rows],
            self.spans[rows],
            cut(self.terms, terms),
            None if self.texts is None else cut(self.texts, rows),
        )


@dataclass(frozen=True, slots=True)
class RetrieverOutputs:
    """What the losses see.

    Attributes:
        spans: float32[n, s, dim], unit vectors.
        chunks: float32[n, dim], unit vectors of the whole rows.
        terms: float32[m, dim], unit vectors.
        texts: float32[n, dim] or None.
        characters: float32[n, t, 29], log-probabilities of the alignment head.
        phonemes: float32[n, t, 41], the same.
    """

    spans: Tensor
    chunks: Tensor
    terms: Tensor
    texts: Tensor | None
    characters: Tensor
    phonemes: Tensor

    def float(self) -> "RetrieverOutputs":
        """The same in fp32: losses and scores are never computed in less."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.float() for k, v in values.items() if v is not None})


@dataclass(frozen=True, slots=True)
class RetrieverLabels:
    """What is true of a batch. Keys stand for normalised terms (`training.corpus.keys.key_of`), -1 fills up.

    Attributes:
        row_terms: int64[n, a], keys of the terms audible in each row.
        term_keys: int64[m], key of each column.
        term_groups: int64[m], columns of one group are variants, aliases or translations of each other.
        row_groups: int64[n, a], the groups of `row_terms`.
        covering: int64[k, 3], (row, column, span): the smallest span of the row that covers an occurrence.
        text_keys: int64[n], key of each transcript; -1 where there is none.
        no_term: bool[n].
        characters: targets of the alignment head, n tensors int64; empty where nothing is known.
        phonemes: the same.
        left: int64[n], frames at the start that a cut word covers.
        right: int64[n], the same at the end.
        frames: int64[n], true length of each row in frames of 20 ms: `RetrieverInputs.frames`.
        spans: int64[n, s, 2], bounds of the spans: `RetrieverInputs.spans`. [0, 1] is a filler, never a wrong span.
    """

    row_terms: Tensor
    term_keys: Tensor
    term_groups: Tensor
    row_groups: Tensor
    covering: Tensor
    text_keys: Tensor
    no_term: Tensor
    characters: tuple[Tensor, ...]
    phonemes: tuple[Tensor, ...]
    left: Tensor
    right: Tensor
    frames: Tensor | None = None
    spans: Tensor | None = None

    def to(self, device: torch.device) -> "RetrieverLabels":
        """The same on a device; the targets of the alignment head too."""

        def moved(value: Tensor | tuple[Tensor, ...] | None) -> Tensor | tuple[Tensor, ...] | None:
            if value is None:
                return None
            return tuple(v.to(device) for v in value) if isinstance(value, tuple) else value.to(device)

        return RetrieverLabels(*(moved(getattr(self, f.name)) for f in fields(self)))  # type: ignore[arg-type]


class Retriever(Protocol):
    """The dual encoder as the loop and the evaluation see it (the module is `training.models.retriever`)."""

    mel_bins: int
    dim: int

    @property
    def text(self) -> TextTower:
        """The text tower, for terms alone."""
        ...

    def __call__(self, inputs: RetrieverInputs) -> RetrieverOutputs:
        """One pass of both towers."""
        ...
