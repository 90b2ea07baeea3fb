"""Model folder -> ONNX Runtime: the audio tower with its alignment head, the span tower and the text tower."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streaming.errors import ModelError
from streaming.features import LogMel
from streaming.model_folder import ModelFolder

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncodedContext:
    """One context after one encoder pass, 50 frames a second.

    `characters` float32[t, 29] and `phonemes` float32[t, 41] are log-probabilities, `frames` float32[t, width] the
    features from which spans are pooled.
    """

    characters: Floats
    phonemes: Floats
    frames: Floats


def open_session(folder: ModelFolder, name: str, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session over the bytes that were checked; raises ModelError if ONNX Runtime refuses them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(folder.contents[name], options, providers=["CPUExecutionProvider"])
    except KeyError as error:
        raise ModelError(f"the model folder {folder.path} has no {name}; install TermCue again") from error
    except Exception as error:  # ONNX Runtime raises bare RuntimeError subclasses of its own
        raise ModelError(f"ONNX Runtime cannot load {folder.path / name}: {error}") from error


class OnnxFrameEncoder:
    """float32[context_samples] -> EncodedContext."""

    def __init__(self, folder: ModelFolder, threads: int = 1) -> None:
        self._log_mel = LogMel()
        self._session = open_session(folder, "audio.onnx", threads)

    def encode(self, context: Floats) -> EncodedContext:
        """One pass over one context."""
        mel = self._log_mel(context)[None]
        characters, phonemes, frames = self._session.run(["characters", "phonemes", "frames"], {"mel": mel})
        return EncodedContext(characters[0], phonemes[0], frames[0])


class OnnxSpanEncoder:
    """Pooled spans float32[n, 6·width] -> unit vectors float32[n, dim]."""

    def __init__(self, folder: ModelFolder, threads: int = 1) -> None:
        self._session = open_session(folder, "spans.onnx", threads)

    def embed(self, pooled: Floats) -> Floats:
        """All spans of one context in one call."""
        vectors: Floats = self._session.run(["vectors"], {"pooled": pooled})[0]
        return vectors


class OnnxTextEncoder:
    """Character ids of surface forms -> unit vectors."""

    def __init__(self, folder: ModelFolder, threads: int = 1) -> None:
        self._session = open_session(folder, "text.onnx", threads)
        self.dim = folder.spec.dim
        self.encoder_id = folder.encoder_id

    def embed(self, sequences: Sequence[NDArray[np.int16]]) -> Floats:
        """int16[l] each (at most 256 symbols count) -> float32[n, dim]; one batch, so bring equal lengths together."""
        longest = min(256, max(map(len, sequences)))
        letters = np.zeros((len(sequences), longest), np.int64)
        for row, sequence in enumerate(sequences):
            letters[row, : min(longest, len(sequence))] = sequence[:longest]
        vectors: Floats = self._session.run(["vectors"], {"letters": letters})[0]
        return vectors
