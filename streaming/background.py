"""How well a form fits speech in which it was not said: what calibrates "ion" against "stochastic gradient descent".

The model folder carries a few minutes of both heads' log-probabilities over speech that training never saw
(``background.npy``, uint8: 1/16 nat a step, so down to −15.9). No sound and no words can be had back from a glossary.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.encoder import EncodedContext
from streaming.entries import Form
from streaming.errors import ModelError
from streaming.form_bank import FormBank
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
    batch: int = 300,
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Statistics of each form, float32[n, 4].

    Mean and 97th percentile, over the contexts, of its best character score; then the same of the phonemes.

    `progress` is told how many forms are done.
    """
    rows = [np.zeros((0, 4))]
    for first in range(0, len(forms), batch):
        bank = FormBank(forms[first : first + batch])
        scores = [bank.score(context, 0) for context in contexts]
        columns = []
        for head in (0, 2):
            best = np.maximum(np.stack([s[head] for s in scores]), _LEAST_SCORE)
            columns += [best.mean(axis=0), np.quantile(best, _QUANTILE, axis=0)]
        rows.append(np.stack(columns, axis=1))
        progress(min(first + batch, len(forms)))
    return np.concatenate(rows).astype(np.float32)


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
    return lambda forms: statistics_of(contexts, forms, progress=progress)
