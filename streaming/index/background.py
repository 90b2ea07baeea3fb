"""How well a form fits speech in which it was not said: what calibrates "ion" against "stochastic gradient descent".

The model folder carries a few minutes of both heads' log-probabilities over speech that training never saw
(``background.npy``, uint8: 1/16 nat a step, so down to −15.9). No sound and no words can be had back from a glossary.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Form
from streaming.errors import ModelError
from streaming.index.background_paths import ContextBlocks
from streaming.model_folder import ModelFolder
from streaming.symbols import CHARACTERS, PHONEMES

STEPS_PER_NAT = 16.0
_QUANTILE = 0.97
_SYMBOLS = len(CHARACTERS) + len(PHONEMES)
# A form with more symbols than a context has frames fits nowhere; an index holds finite numbers only.
_LEAST_SCORE = -255 / STEPS_PER_NAT


def pack_background(contexts: Sequence[EncodedContext]) -> bytes:
    """Contexts of equal length -> an .npy of uint8[n, t, 29 + 41]."""
    joined = np.stack([np.concatenate([c.characters, c.phonemes], axis=1) for c in contexts])
    packed = np.clip(np.round(-joined * STEPS_PER_NAT), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    np.save(out, packed, allow_pickle=False)
    return out.getvalue()


def unpack_background(content: bytes) -> list[EncodedContext]:
    """The reverse of `pack_background`, without span features. Raises ValueError for another shape."""
    packed = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if packed.ndim != 3 or packed.shape[2] != _SYMBOLS or packed.dtype != np.uint8:
        raise ValueError(f"background of shape {packed.shape} and type {packed.dtype}")
    log_probs = packed.astype(np.float32) / -STEPS_PER_NAT
    split = len(CHARACTERS)
    return [EncodedContext(c[:, :split], c[:, split:], c[:, :0]) for c in log_probs]


def statistics_of(
    contexts: Sequence[EncodedContext],
    forms: Sequence[Form],
    batch: int = 2000,
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Statistics of each form, float32[n, 4].

    Mean and 97th percentile, over the contexts, of its best character score; then the same of the phonemes, of the
    pronunciation that fits each context best, or of the characters where there is no pronunciation.

    Args:
        contexts: at least one, of equal length.
        forms: any.
        batch: forms at a time.
        progress: told how many forms are done.
    """
    return BackgroundSpeech(contexts).statistics_of(forms, batch, progress)


class BackgroundSpeech:
    """Contexts laid out for statistics of many forms."""

    def __init__(self, contexts: Sequence[EncodedContext]) -> None:
        self._characters = ContextBlocks(np.stack([c.characters for c in contexts]))
        self._phonemes = ContextBlocks(np.stack([c.phonemes for c in contexts]))

    def statistics_of(
        self, forms: Sequence[Form], batch: int = 2000, progress: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        """What the function of this name tells."""
        rows = [np.zeros((0, 4))]
        for first in range(0, len(forms), batch):
            some = forms[first : first + batch]
            by_characters = self._characters.best_scores([form.characters for form in some])
            columns = []
            for best in (by_characters, self._by_phonemes(some, by_characters)):
                best = np.maximum(best, _LEAST_SCORE)
                columns += [best.mean(axis=1, dtype=np.float64), np.quantile(best, _QUANTILE, axis=1)]
            rows.append(np.stack(columns, axis=1))
            progress(first + len(some))
        return np.concatenate(rows).astype(np.float32)

    def _by_phonemes(self, forms: Sequence[Form], by_characters: NDArray[np.float32]) -> NDArray[np.float32]:
        """The best of each form's pronunciations; its characters where it has none."""
        best = by_characters.copy()
        said = [(row, way) for row, form in enumerate(forms) for way in form.pronunciations]
        if said:
            rows, starts = np.unique([row for row, _ in said], return_index=True)
            best[rows] = np.maximum.reduceat(self._phonemes.best_scores([way for _, way in said]), starts)
        return best


def background_scores(
    folder: ModelFolder, progress: Callable[[int], None] = lambda done: None
) -> Callable[[Sequence[Form]], NDArray[np.float32]]:
    """The statistics of forms against the folder's background speech; raises ModelError if it cannot be read.

    `progress` is told how many forms are done.
    """
    try:
        contexts = unpack_background(folder.contents["background.npy"])
    except (KeyError, ValueError) as error:
        raise ModelError(f"the model folder {folder.path} has no usable background.npy ({error})") from error
    speech = BackgroundSpeech(contexts)
    return lambda forms: speech.statistics_of(forms, progress=progress)
