"""What one hop knows of one form: where it lies, and the numbers that the calibration weighs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Form
from streaming.spotting.alignment import Span

# Nats beyond which a victory or a defeat says no more.
MOST_NATS = 25.0
MOST_NATS_OVER_NEIGHBOUR = 10.0
# Log-probabilities below which a text, or a token of it, is no less likely.
_LEAST_TEXT = -20.0
_LEAST_TOKEN = -15.0
_DOUBTED = -3.0
# What stands for the score of an earlier hop that did not see the form.
_NOT_SEEN = -2.0
_SAME_SIGHTING_IOU = 0.4
_FRAMES_PER_PHONEME = 4.0  # 80 ms, the tempo at which the feature `tempo` is 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one form in one context: frames [start, end], the numbers of `calibration.FEATURES`.

    A form that needs a second look is tentative.
    """

    form_index: int
    start: int
    end: int
    features: dict[str, float]
    is_tentative: bool = False

    @property
    def mean(self) -> float:
        """Mean score of both heads, a symbol."""
        return (self.features["characters"] + self.features["phonemes"]) / 2


def evidence_of(
    form_index: int, form: Form, characters: Span, phonemes: Span, background: NDArray[np.float32], frames: int
) -> Evidence:
    """What the alignment alone says; what competition, the verifier and the hop before say is filled in later.

    Args:
        form_index: of the form in its index.
        form: the form.
        characters: its path by the characters.
        phonemes: its path by the phonemes.
        background: float32[4], its statistics against background speech.
        frames: frames of the context.
    """
    start, end = (characters.start + phonemes.start) // 2, (characters.end + phonemes.end) // 2
    length = len(form.pronunciations[0]) if form.pronunciations else len(form.characters)
    tempo = float(np.log(max(1, end - start) / (_FRAMES_PER_PHONEME * length)))
    features = {
        "characters": characters.score,
        "phonemes": phonemes.score,
        "least": min(characters.score, phonemes.score),
        "characters_over_free": characters.score - characters.free,
        "phonemes_over_free": phonemes.score - phonemes.free,
        "characters_over_background": characters.score - float(background[1]),
        "phonemes_over_background": phonemes.score - float(background[3]),
        "ends_apart": min(30.0, abs(characters.end - phonemes.end)),
        "starts_apart": min(30.0, abs(characters.start - phonemes.start)),
        "right_context": float(np.log1p(frames - 1 - end)),
        "length": float(np.log(length)),
        "tempo": tempo,
        "tempo_squared": tempo * tempo,
        "over_rivals": 0.0,
        "over_neighbour": MOST_NATS_OVER_NEIGHBOUR,
        "over_covering": 0.0,
        "fit_around": 0.0,
        "commonness": 0.0,
        "seen_before": 0.0,
        "over_free_before": _NOT_SEEN,
        **text_features(np.zeros(1, np.float32)),
    }
    return Evidence(form_index, start, end, features)


def text_features(log_probs: NDArray[np.float32]) -> dict[str, float]:
    """What the verifier says of a text, float32[tokens + 1]: its sum and its worst token, bounded.

    Squares, and a bound that is soon reached, let the first doubts count more than further ones.
    """
    text, least = max(_LEAST_TEXT, float(log_probs.sum())), max(_LEAST_TOKEN, float(log_probs.min()))
    return {
        "text": text,
        "text_squared": text * text / -_LEAST_TEXT,
        "text_least": least,
        "text_least_squared": least * least / -_LEAST_TOKEN,
        "text_doubt": max(_DOUBTED, least),
    }


@dataclass(frozen=True, slots=True)
class Sighting:
    """One form in one hop: frames [start, end] of the stream and how near it came to the best free path."""

    start: int
    end: int
    over_free: float

    @classmethod
    def of(cls, evidence: Evidence, first_frame: int) -> "Sighting":
        """The sighting of a form in a context that begins at frame `first_frame` of the stream."""
        over_free = (evidence.features["characters_over_free"] + evidence.features["phonemes_over_free"]) / 2
        return cls(first_frame + evidence.start, first_frame + evidence.end, over_free)

    def is_same(self, other: "Sighting") -> bool:
        """Whether both lie on about the same stretch."""
        shared = min(self.end, other.end) - max(self.start, other.start)
        return shared > _SAME_SIGHTING_IOU * (max(self.end, other.end) - min(self.start, other.start))


Sightings: TypeAlias = Mapping[tuple[str, str], Sighting]
"""What a hop saw, by entry id and text of the form: words that mean the same in the next version of a glossary."""
