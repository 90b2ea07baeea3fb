"""Background speech as a model folder carries it: what forms and spans are compared with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.index.background import pack_background
from streaming.spans import SpanGrid
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.span_centre import CENTRE_FILE, mean_span, pack_centre
from training.export.graphs import run_graph

Embed: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Pooled spans float32[n, 6·width] -> unit vectors float32[n, dim]."""


def background_files(encoded: Sequence[EncodedContext], embed: Embed) -> dict[str, bytes]:
    """Files of a folder by their names.

    Args:
        encoded: contexts of speech that training never heard, at least one, all of one length.
        embed: the span tower.
    """
    centre = mean_span(encoded, embed, SpanGrid(), ScoringConfig().proposal_frames)
    return {"background.npy": pack_background(encoded), CENTRE_FILE: pack_centre(centre)}


def span_tower(graph: Path) -> Embed:
    """The exported graph of a span tower."""

    def embed(pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = run_graph(graph, {"pooled": pooled})[0]
        return vectors

    return embed
