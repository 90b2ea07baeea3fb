"""An exported model folder -> span and term vectors for the evaluation, as serving makes them; needs no torch."""

from collections.abc import Callable, Sequence

import numpy as np

from streaming.encoder import OnnxSpanEncoder, OnnxTextEncoder
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.encoding.providers import Provider
from streaming.model_folder import ModelFolder
from streaming.spans import FRAME_SAMPLES, pool_spans
from streaming.symbols import words_of
from training.evaluation.encoders import spans_of, windows
from training.evaluation.retrieval import Floats


def letters_of(text: str) -> str:
    """The words of a text in the letters of the alphabet, parted by one blank."""
    return " ".join(words_of(text))


class OnnxEncoder:
    """A model folder as a `RowEncoder`; a row shorter than the context stands at its end, after silence.

    Args:
        folder: the model.
        spell: a written term -> how it is said, as the index would spell it.
        threads: of ONNX Runtime.
        provider: what the model runs on.
    """

    def __init__(
        self,
        folder: ModelFolder,
        spell: Callable[[str], str] = letters_of,
        threads: int = 1,
        provider: Provider = "cpu",
    ) -> None:
        self._spell = spell
        self._audio = open_frame_encoder(folder, threads, provider)
        self._spans = OnnxSpanEncoder(folder, threads, provider)
        self._text = OnnxTextEncoder(folder, threads, provider)
        self._context = folder.spec.context_samples // FRAME_SAMPLES
        self.dim = folder.spec.dim

    def spans(self, rows: Sequence[Floats]) -> list[Floats]:
        """Audio float32[n] each -> per row float32[s, dim]."""
        return [self._row(row) for row in rows]

    def _row(self, audio: Floats) -> Floats:
        found = []
        for window in windows(len(audio) // FRAME_SAMPLES, self._context):
            context = np.zeros(self._context * FRAME_SAMPLES, np.float32)
            piece = audio[window.first * FRAME_SAMPLES :][: window.frames * FRAME_SAMPLES]
            context[len(context) - len(piece) :] = piece
            frames = self._audio.encode(context).frames[self._context - window.frames :]
            pooled = pool_spans(np.ascontiguousarray(frames), spans_of(window.frames, window.new_from))
            found.append(self._spans.embed(pooled))
        return np.concatenate(found)

    def texts(self, texts: Sequence[str]) -> Floats:
        """-> float32[n, dim]; a text that cannot be spelt reads as one empty word."""
        return self._text.embed([self._spell(text) for text in texts])
