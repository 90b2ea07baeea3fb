"""What the verifier reads in the spans of candidates, each stretch of the stream once and no more often than needed.

One run of the verifier costs about as much for one text as for several: what it saves are whole hops without a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.encoded_context import EncodedContext
from streaming.spotting.evidence import Evidence, text_features
from streaming.spotting.verifier import Verifier

# Two spans of a form with more of their union in common hold the same sound.
_SAME_SPAN_IOU = 0.7


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """Which candidates are read.

    Attributes:
        floor: mean log-probability per symbol up to which a candidate is not worth it.
        rivals_floor: nats over rivals up to which it is not.
        settled_frames: a stretch read with so many frames after it is not read again.
    """

    floor: float = -2.6
    rivals_floor: float = -15.0
    settled_frames: int = 10


@dataclass(frozen=True, slots=True)
class _Reading:
    """One form on frames [start, end] of the stream: float32[tokens + 1], and how many frames were heard after it."""

    start: int
    end: int
    log_probs: NDArray[np.float32]
    frames_after: int


class SpanReader:
    """Reads candidates of one stream."""

    def __init__(self, verifier: Verifier, text_of: Callable[[int], str], config: ReadingConfig | None = None) -> None:
        """Begin a stream; `text_of` gives the words of a form by its number."""
        self._verifier, self._text_of = verifier, text_of
        self._config = config or ReadingConfig()
        self._earlier: dict[int, _Reading] = {}

    def reset(self) -> None:
        """Forget what was read: a new stream begins."""
        self._earlier = {}

    def read(self, encoded: EncodedContext, found: Sequence[Evidence], first_frame: int) -> list[Evidence]:
        """Add to each candidate how likely its text is; those not worth it are left out.

        Args:
            encoded: the context; `hidden` must be there.
            found: candidates in it.
            first_frame: of the context, in frames of the stream.
        """
        worth = [evidence for evidence in found if self._is_worth_it(evidence)]
        known = {e.form_index: self._known(e, first_frame) for e in worth}
        fresh = [evidence for evidence in worth if known[evidence.form_index] is None]
        readings = {index: reading for index, reading in known.items() if reading is not None}
        readings.update(self._read(encoded, fresh, first_frame))
        for evidence in worth:
            evidence.features.update(text_features(readings[evidence.form_index].log_probs))
        self._earlier = readings
        return worth

    def _is_worth_it(self, evidence: Evidence) -> bool:
        return evidence.mean > self._config.floor and evidence.features["over_rivals"] > self._config.rivals_floor

    def _known(self, evidence: Evidence, first_frame: int) -> _Reading | None:
        """What the hop before read on the same stretch, if enough was heard after it."""
        before = self._earlier.get(evidence.form_index)
        if before is None or before.frames_after < self._config.settled_frames:
            return None
        start, end = first_frame + evidence.start, first_frame + evidence.end
        shared = min(end, before.end) - max(start, before.start)
        return before if shared > _SAME_SPAN_IOU * (max(end, before.end) - min(start, before.start)) else None

    def _read(self, encoded: EncodedContext, fresh: Sequence[Evidence], first_frame: int) -> dict[int, _Reading]:
        if encoded.hidden is None or not fresh:
            return {}
        texts = [self._text_of(evidence.form_index) for evidence in fresh]
        log_probs = self._verifier.log_probs(encoded.hidden, [(e.start, e.end) for e in fresh], texts)
        last = len(encoded.characters) - 1
        return {
            e.form_index: _Reading(first_frame + e.start, first_frame + e.end, of_tokens, last - e.end)
            for e, of_tokens in zip(fresh, log_probs, strict=True)
        }
