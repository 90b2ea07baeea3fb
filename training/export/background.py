"""Background speech as a model folder carries it: what forms and spans are compared with."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.index.background import pack_background
from streaming.spans import SpanGrid, pool_spans
from streaming.spotting.span_hubs import HUBS_FILE, pack_hubs
from training.export.graphs import run_graph

Floats = NDArray[np.float32]
Embed: TypeAlias = Callable[[Floats], Floats]
"""Pooled spans float32[n, 6·width] -> unit vectors float32[n, dim]."""

HUBS = 512
# FAISS warns of fewer spans a mean.
_SPANS_PER_HUB = 40
_SPANS_OF_CONTEXT = 96
# Spans end in the later part of a context: what was heard before them makes its frames what they are in a stream.
_SHARE_OF_ENDS = 2 / 3
_STEPS, _SEED = 12, 20_261


def background_files(
    encoded: Sequence[EncodedContext], embed: Embed, speech: Iterable[EncodedContext] | None = None
) -> dict[str, bytes]:
    """Files of a folder by their names.

    Args:
        encoded: contexts of speech that training never heard, at least one, all of one length.
        embed: the span tower.
        speech: more of such speech for the hubs, which want many voices and words; the same contexts if None.
    """
    hubs = span_hubs(encoded if speech is None else speech, embed, SpanGrid())
    return {"background.npy": pack_background(encoded), HUBS_FILE: pack_hubs(hubs)}


def span_hubs(contexts: Iterable[EncodedContext], embed: Embed, grid: SpanGrid, most: int = HUBS) -> Floats:
    """Means of like spans of some speech (spherical k-means): what spans of any speech are like.

    Args:
        contexts: of speech, with frames; at least one.
        embed: the span tower.
        grid: of spans, as they are searched by.
        most: means at most; fewer where there are few spans.

    Returns:
        float32[k, dim], unit norm; the same for the same contexts.
    """
    rng = np.random.default_rng(_SEED)
    vectors = np.concatenate([embed(pool_spans(c.frames, _some_spans(len(c.frames), grid, rng))) for c in contexts])
    count = min(most, max(1, len(vectors) // _SPANS_PER_HUB))
    means = faiss.Kmeans(vectors.shape[1], count, niter=_STEPS, seed=_SEED, spherical=True)
    means.train(np.ascontiguousarray(vectors, np.float32))
    return np.asarray(means.centroids, np.float32).reshape(count, -1)


def _some_spans(frames: int, grid: SpanGrid, rng: np.random.Generator) -> NDArray[np.int32]:
    spans = grid.grid(frames, round(frames * (1 - _SHARE_OF_ENDS)))
    return spans if len(spans) <= _SPANS_OF_CONTEXT else rng.permutation(spans)[:_SPANS_OF_CONTEXT]


def span_tower(graph: Path) -> Embed:
    """The exported graph of a span tower."""

    def embed(pooled: Floats) -> Floats:
        vectors: Floats = run_graph(graph, {"pooled": pooled})[0]
        return vectors

    return embed
