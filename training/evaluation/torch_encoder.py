"""A retriever in torch -> span and term vectors for the evaluation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from streaming.features import LogMel
from streaming.spans import FRAME_SAMPLES
from training.evaluation.encoders import spans_of, windows
from training.evaluation.retrieval import Floats
from training.models.interfaces import Retriever, RetrieverInputs, Tokens

CONTEXT_FRAMES = 288
"""5.76 s, the longest context of training; longer rows are heard in overlapping contexts of this length."""
_SPANS_AT_ONCE = 4096


class TorchEncoder:
    """A `Retriever` as a `RowEncoder`. Call it inside `evaluating(model)`."""

    def __init__(self, model: Retriever, device: torch.device | None = None) -> None:
        self._model = model
        self._device = device or device_of(model)
        self._log_mel = LogMel(model.mel_bins)
        self.dim = model.dim
        # The towers run in one call; what the text tower reads in it does not matter here.
        self._any_text = self._on_device(model.text.tokenise(["a"]))

    def _on_device(self, tokens: Tokens) -> Tokens:
        return {name: value.to(self._device) for name, value in tokens.items()}

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """Audio float32[n] each -> per row float32[s, dim]."""
        pieces = [
            (i, row[w.first * FRAME_SAMPLES :][: w.frames * FRAME_SAMPLES], spans_of(w.frames, w.new_from))
            for i, row in enumerate(rows)
            for w in windows(len(row) // FRAME_SAMPLES, CONTEXT_FRAMES)
        ]
        found: list[list[Floats]] = [[] for _ in rows]
        for first, last in _portions([len(spans) for _, _, spans in pieces]):
            part = pieces[first:last]
            vectors = self._run([audio for _, audio, _ in part], [torch.from_numpy(s).long() for _, _, s in part])
            for (i, _, spans), some in zip(part, vectors, strict=True):
                found[i].append(some[: len(spans)])
        return [np.concatenate(some) for some in found]

    def _run(self, audio: Sequence[Floats], spans: Sequence[Tensor]) -> Floats:
        mels = [torch.from_numpy(self._log_mel(piece)) for piece in audio]
        frames = [len(piece) // FRAME_SAMPLES for piece in audio]
        mel = torch.zeros(len(mels), mels[0].shape[0], 2 * max(frames))
        padded = torch.tensor([0, 1]).repeat(len(spans), max(map(len, spans)), 1)
        for i, piece in enumerate(mels):
            mel[i, :, : 2 * frames[i]] = piece[:, : 2 * frames[i]]
            padded[i, : len(spans[i])] = spans[i]
        inputs = RetrieverInputs(mel, torch.tensor(frames), padded, self._any_text, None).to(self._device)
        with torch.inference_mode():
            vectors: Floats = self._model(inputs).spans.float().cpu().numpy()
        return vectors

    def texts(self, texts: Sequence[str]) -> Floats:
        """-> float32[n, dim]."""
        with torch.inference_mode():
            vectors: Floats = self._model.text(self._on_device(self._model.text.tokenise(texts))).float().cpu().numpy()
        return vectors


def device_of(model: object) -> torch.device:
    """Where the model's parameters lie; the CPU for what has none."""
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if first is None else first.device


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """Dropout and the like off inside the block; each part is as it was after it."""
    parts = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    try:
        if isinstance(model, nn.Module):
            model.eval()
        yield
    finally:
        for part, was_training in parts:
            part.training = was_training


def _portions(spans: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows with about `_SPANS_AT_ONCE` spans when filled up to the longest."""
    first, longest = 0, 0
    for i, count in enumerate(spans):
        longest = max(longest, count)
        if i > first and longest * (i + 1 - first) > _SPANS_AT_ONCE:
            yield first, i
            first, longest = i, count
    if spans:
        yield first, len(spans)
