"""What spans of any speech have in common is taken off a span before its neighbours are looked for.

Some forms are near to almost every span (hubs: Radovanović et al. 2010) and push the one that was said out of the first
places. Taking the mean vector of background spans off the query ranks every form by how much nearer it is to this span
than to speech as such (Suzuki et al. 2013). In the model folder as ``span_centre.npy``.
"""

import io
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder
from streaming.spans import SpanGrid, pool_spans

CENTRE_FILE = "span_centre.npy"

Floats = NDArray[np.float32]


def mean_span(
    contexts: Iterable[EncodedContext], embed: Callable[[Floats], Floats], grid: SpanGrid, newest: int
) -> Floats:
    """The mean vector of the spans that end in the newest frames of some contexts, as those do that are searched by.

    Args:
        contexts: of background speech, with frames; at least one.
        embed: pooled spans float32[n, 6·width] -> unit vectors float32[n, dim].
        grid: of spans, as they are searched by.
        newest: frames in which they end; of spans that end elsewhere the mean is another one.

    Returns:
        float32[dim].
    """
    means = [
        embed(pool_spans(c.frames, grid.grid(len(c.frames), len(c.frames) - newest))).mean(axis=0) for c in contexts
    ]
    return np.asarray(np.mean(means, axis=0), np.float32)


def pack_centre(centre: Floats) -> bytes:
    """float32[dim] -> an .npy; the same bytes for the same numbers."""
    out = io.BytesIO()
    np.save(out, centre.astype(np.float32), allow_pickle=False)
    return out.getvalue()


def centre_of(folder: ModelFolder) -> Floats:
    """float32[dim]; zeros, which change nothing, where the folder has none. Raises ModelError for a damaged one."""
    content, dim = folder.contents.get(CENTRE_FILE), folder.spec.dim
    if content is None:
        return np.zeros(dim, np.float32)
    try:
        centre = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ModelError(f"{folder.path / CENTRE_FILE} is no array ({error}); install TermCue again") from error
    if centre.shape != (dim,) or centre.dtype != np.float32 or not np.isfinite(centre).all():
        raise ModelError(
            f"{folder.path / CENTRE_FILE} holds {centre.dtype}{list(centre.shape)} and not {dim} finite numbers of "
            "float32; install TermCue again"
        )
    return np.asarray(centre, np.float32)
