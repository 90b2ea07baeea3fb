"""Rows of audio -> span vectors, whatever encodes them: a checkpoint in torch or an exported folder on ONNX Runtime."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.errors import SettingError, TermCueError
from streaming.spans import SpanGrid
from training.corpus.audio import AudioError, read_stretch
from training.corpus.examples import Example
from training.corpus.keys import normal_form
from training.evaluation.retrieval import Floats, RowVectors

_BATCH_SAMPLES = 16 * 92_160
_BATCH_ROWS = 32
_ROWS_BEFORE_JUDGING = 20
_GRID = SpanGrid()


class RowEncoder(Protocol):
    """Both towers of a retriever, as the evaluation sees them."""

    dim: int

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """Audio float32[n] at 16 kHz each -> per row float32[s, dim], unit norm, of the spans that serving pools."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """-> float32[n, dim], unit norm."""
        ...


class BadShareError(TermCueError):
    """More of the rows cannot be read than is allowed; the message says how many and names the first."""


@dataclass(slots=True)
class BadAudio:
    """Rows that were skipped because their audio cannot be read; too large a share of them ends the evaluation."""

    max_share: float = 0.05
    errors: list[AudioError] = field(default_factory=list)
    seen: int = 0

    def judge(self) -> None:
        """Raise BadShareError when the share is passed."""
        if self.errors and len(self.errors) > self.max_share * self.seen:
            raise BadShareError(
                f"{len(self.errors)} of {self.seen} rows cannot be read (more than {self.max_share:.0%}), first: "
                f"{self.errors[0]}; list all with: termcue validate-audio ROWS"
            )


@dataclass(frozen=True, slots=True)
class Window:
    """A context cut from a row, in frames; only spans that end after `new_from` of its own frames are new."""

    first: int
    frames: int
    new_from: int


def windows(frames: int, context: int) -> list[Window]:
    """Contexts that hold every span of the grid, as serving would hear the row.

    Args:
        frames: of the row, at least 1.
        context: frames of one pass, more than the longest span has.
    """
    longest = max(_GRID.lengths)
    if context <= longest:
        raise SettingError(f"a context of {context} frames holds no span of {longest}; give a longer one")
    if frames <= context:
        return [Window(0, frames, 0)]
    ends = [*range(context, frames, context - longest), frames]
    return [Window(end - context, context, longest if end > context else 0) for end in ends]


def spans_of(frames: int, new_from: int = 0) -> NDArray[np.int32]:
    """The serving grid over one context, int32[s, 2]; a row shorter than any span is one span."""
    grid = _GRID.grid(frames, new_from)
    return grid if len(grid) else np.array([[0, frames]], np.int32)


def encode_rows(
    encoder: RowEncoder,
    examples: Iterable[Example],
    group_of: Callable[[str], int],
    bad: BadAudio,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[RowVectors]:
    """Read, encode and label rows, a batch at a time; those that cannot be read go to `bad`.

    Args:
        encoder: makes the vectors.
        examples: any number, one pass.
        group_of: normal form of a term -> its entry.
        bad: collects what cannot be read; judged now and then, and at the end.
        progress: told how many rows were seen.
    """
    for batch in _batches(examples, bad):
        vectors = encoder.spans([audio for _, audio in batch])
        for (example, _), spans in zip(batch, vectors, strict=True):
            truth = tuple(group_of(normal_form(term.term)) for term in example.terms)
            yield RowVectors(example.example_id, example.recording or example.example_id, spans, truth)
        progress(bad.seen)
    bad.judge()


def _batches(examples: Iterable[Example], bad: BadAudio) -> Iterator[list[tuple[Example, Floats]]]:
    batch: list[tuple[Example, Floats]] = []
    longest = 0
    for example in examples:
        bad.seen += 1
        try:
            audio = read_stretch(example)
        except AudioError as error:
            bad.errors.append(error)
            if bad.seen >= _ROWS_BEFORE_JUDGING:
                bad.judge()
            continue
        longest = max(longest, len(audio))
        if batch and (longest * (len(batch) + 1) > _BATCH_SAMPLES or len(batch) == _BATCH_ROWS):
            yield batch
            batch, longest = [], len(audio)
        batch.append((example, audio))
    if batch:
        yield batch
