"""How near a form is to speech as such, which says nothing of what was said just now.

Some forms are near to almost every span (hubs: Radovanović et al. 2010) and push the one that was said out of the first
places. So a form's cosine to a span is made less by its mean cosine to those spans of other speech that are nearest to
it (cross-domain similarity local scaling: Conneau et al. 2018). For all spans of other speech stand a few hundred means
of like ones, in the model folder as ``span_hubs.npy``.
"""

import io

import numpy as np
from numpy.typing import NDArray

from streaming.errors import ModelError
from streaming.model_folder import ModelFolder

HUBS_FILE = "span_hubs.npy"
_NEAREST = 8
# Of twice the cosine, what is near to form and span is taken off once.
_SHARE = 0.5
_FORMS_AT_ONCE = 2048

Floats = NDArray[np.float32]


def hubness(vectors: Floats, hubs: Floats) -> Floats:
    """What is taken off the cosine of each form to a span.

    Args:
        vectors: float32[n, dim], unit norm.
        hubs: float32[k, dim], unit norm; none takes nothing off.

    Returns:
        float32[n].
    """
    found = np.zeros(len(vectors), np.float32)
    nearest = min(_NEAREST, len(hubs))
    for first in range(0, len(vectors) if nearest else 0, _FORMS_AT_ONCE):
        cosines = vectors[first : first + _FORMS_AT_ONCE] @ hubs.T
        best = np.partition(cosines, len(hubs) - nearest, axis=1)[:, len(hubs) - nearest :]
        found[first : first + _FORMS_AT_ONCE] = _SHARE * best.mean(axis=1)
    return found


def pack_hubs(hubs: Floats) -> bytes:
    """float32[k, dim] -> an .npy of float16; the same bytes for the same numbers."""
    out = io.BytesIO()
    np.save(out, hubs.astype(np.float16), allow_pickle=False)
    return out.getvalue()


def hubs_of(folder: ModelFolder) -> Floats:
    """float32[k, dim]; none where the folder has none. Raises ModelError for a damaged file."""
    content, dim = folder.contents.get(HUBS_FILE), folder.spec.dim
    if content is None:
        return np.zeros((0, dim), np.float32)
    try:
        hubs = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ModelError(f"{folder.path / HUBS_FILE} is no array ({error}); install TermCue again") from error
    if hubs.ndim != 2 or hubs.shape[1] != dim or hubs.dtype != np.float16 or not np.isfinite(hubs).all():
        raise ModelError(
            f"{folder.path / HUBS_FILE} holds {hubs.dtype}{list(hubs.shape)} and not rows of {dim} finite numbers of "
            "float16; install TermCue again"
        )
    return hubs.astype(np.float32)
