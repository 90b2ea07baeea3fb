"""A second look at candidates: how likely is it that the decoder would write just this text for just this span?

The decoder reads frames that the encoder made anyway (`training.models.verifier`). It sees one span and no more, and
its vocabulary is a language: what else could have been said there takes its part of the probability.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.encoder import open_session
from streaming.encoding.providers import Provider
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder

GRAPH_FILE = "verifier.onnx"
TOKENS_FILE = "verifier_tokens.json"
START, END = 0, 1
# So many places has the decoder; of a longer text the beginning decides.
_LONGEST = 32
# The first and last symbol of a term are heard around the frames in which the alignment puts them.
_MARGIN = 4
_OUTSIDE = np.float32(-1e4)

Floats = NDArray[np.float32]


class Verifier(Protocol):
    """Texts at their places in one context -> log-probabilities."""

    def log_probs(self, hidden: Floats, spans: Sequence[tuple[int, int]], texts: Sequence[str]) -> list[Floats]:
        """float32[tokens + 1] for each text: of each of its tokens after those before it, and of the end after them.

        A text of very many tokens may be cut.

        Args:
            hidden: float32[t, inner], the encoder's output.
            spans: first and last frame of each text.
            texts: lower-case words parted by one blank; at least one.
        """
        ...


class OnnxVerifier:
    """The verifier of a model folder; stateless, so that many streams may share it."""

    def __init__(self, folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> None:
        """Open it.

        Raises:
            ModelError: the folder has none, or it cannot be used.
        """
        from tokenizers import Tokenizer

        self._session = open_session(folder, GRAPH_FILE, threads, provider)
        try:
            self._tokenizer = Tokenizer.from_str(folder.contents[TOKENS_FILE].decode())
        except KeyError as error:
            raise ModelError(f"the model folder {folder.path} has no {TOKENS_FILE}; install TermCue again") from error
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ModelError(f"{folder.path / TOKENS_FILE} is no tokenizer ({error}); install TermCue again") from error

    def log_probs(self, hidden: Floats, spans: Sequence[tuple[int, int]], texts: Sequence[str]) -> list[Floats]:
        """One run for all texts of one context."""
        written = self._tokenizer.encode_batch([f" {text}" for text in texts])
        tokens = [[START, *one.ids, END][: _LONGEST + 1] for one in written]
        table = np.full((len(tokens), max(map(len, tokens))), END, np.int64)
        for row, ids in enumerate(tokens):
            table[row, : len(ids)] = ids
        first = max(0, min(start for start, _ in spans) - _MARGIN)
        last = min(len(hidden), max(end for _, end in spans) + _MARGIN + 1)
        frames = np.arange(first, last)
        outside = np.stack(
            [np.where((frames >= start - _MARGIN) & (frames <= end + _MARGIN), 0, _OUTSIDE) for start, end in spans]
        ).astype(np.float32)
        found = self._session.run(
            ["log_probs"], {"frames": hidden[None, first:last], "outside": outside, "tokens": table}
        )[0]
        return [row[: len(ids) - 1] for row, ids in zip(found, tokens, strict=True)]


def verifier_of(folder: ModelFolder, threads: int = 1, provider: Provider = "cpu") -> OnnxVerifier | None:
    """The folder's verifier; None where it has none. Raises ModelError where it cannot be used."""
    return OnnxVerifier(folder, threads, provider) if GRAPH_FILE in folder.contents else None
