"""Model folder -> ONNX Runtime: the audio tower with its alignment head, the span tower and the text tower."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.providers import Provider, check_provider, chosen_providers
from streaming.encoding.whole_contexts import WholeContexts
from streaming.errors import ModelError
from streaming.features import LogMel
from streaming.model_folder import EXTERNAL_WEIGHTS, ModelFolder
from streaming.spotting.span_hubs import hubs_of
from streaming.tokens import tokeniser_of

Floats = NDArray[np.float32]

# Key of the graph's own metadata.
_BATCHABLE = "batchable"


def open_session(
    folder: ModelFolder, name: str, threads: int = 1, provider: Provider = "cpu"
) -> onnxruntime.InferenceSession:
    """A session over the bytes that were checked, or over the file where its weights lie beside it.

    Raises:
        ModelError: the folder has no such graph, ONNX Runtime refuses it, or it does not run on `cuda` as asked.
        SettingError: this ONNX Runtime cannot run on `cuda` at all.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = chosen_providers(provider)
    try:
        content = folder.contents[name]
        # Weights outside the graph are found by its path, and mapped rather than read.
        graph = str(folder.path / name) if name + EXTERNAL_WEIGHTS in folder.external else content
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
    except KeyError as error:
        raise ModelError(f"the model folder {folder.path} has no {name}; install TermCue again") from error
    except Exception as error:  # ONNX Runtime raises bare RuntimeError subclasses of its own
        raise ModelError(f"ONNX Runtime cannot load {folder.path / name}: {error}") from error
    check_provider(provider, session.get_providers()[0], name)
    return session


class OnnxFrameEncoder:
    """float32[context_samples] -> EncodedContext."""

    def __init__(self, folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> None:
        self._log_mel = LogMel(folder.spec.mel_bins)
        self._session = open_session(folder, "audio.onnx", threads, provider)
        there = {output.name for output in self._session.get_outputs()}
        self._outputs = ["characters", "phonemes", "frames", *({"hidden"} & there)]

    @property
    def is_batchable(self) -> bool:
        """Whether a context comes out the same in any company, as the graph says of itself.

        One that quantises a whole batch by its largest number does not: another speaker would change the result.
        """
        return bool(self._session.get_modelmeta().custom_metadata_map.get(_BATCHABLE))

    def encode(self, context: Floats) -> EncodedContext:
        """One pass over one context."""
        return self.encode_batch(context[None])[0]

    def open(self) -> WholeContexts:
        """The encoder of a stream, which hears every context anew."""
        return WholeContexts(self)

    def encode_batch(self, contexts: Floats) -> list[EncodedContext]:
        """One pass over float32[n, context_samples]; each result is that of the context alone, to the last bit.

        That holds where `is_batchable`.
        """
        mel = np.stack([self._log_mel(context) for context in contexts])
        return [EncodedContext(*rows) for rows in zip(*self._session.run(self._outputs, {"mel": mel}), strict=True)]


class OnnxSpanEncoder:
    """Pooled spans float32[n, 6·width] -> unit vectors float32[n, dim]; `hubs` float32[k, dim]: what any are like."""

    def __init__(self, folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> None:
        self._session = open_session(folder, "spans.onnx", threads, provider)
        self.hubs = hubs_of(folder)

    def embed(self, pooled: Floats) -> Floats:
        """All spans of one context in one call."""
        vectors: Floats = self._session.run(["vectors"], {"pooled": pooled})[0]
        return vectors


class OnnxTextEncoder:
    """Spoken forms -> unit vectors."""

    def __init__(self, folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> None:
        self._tokenise = tokeniser_of(folder)
        self._session = open_session(folder, "text.onnx", threads, provider)
        self.dim = folder.spec.dim
        self.encoder_id = folder.encoder_id

    def embed(self, texts: Sequence[str]) -> Floats:
        """Texts of forms (lower-case words parted by one blank; what goes beyond 256 letters does not count).

        Returns:
            float32[n, dim]; one batch, so bring texts of like length together.

        Raises:
            KeyError: a letter outside the alphabet, for a text tower that reads letters.
        """
        vectors: Floats = self._session.run(["vectors"], self._tokenise(texts))[0]
        return vectors
