"""How candidates are found."""

from dataclasses import dataclass, field

from streaming.spotting.span_reading import ReadingConfig

USUAL_HOP = 16
"""Frames of a hop of 0.32 s, which the sizes below are for."""


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """How candidates are found.

    Attributes:
        exhaustive_forms: a glossary of at most so many forms is aligned whole.
        proposals: forms taken from the span search of a larger glossary.
        proposal_frames: the spans searched end in so many frames before now; in as many more as a hop is longer.
        neighbours_per_span: index hits per span.
        late_frames: a path that ended up to so many frames ago may still become a hint, rounded up to a window.
        floor: mean log-probability per symbol under which a form is no candidate.
        most: candidates weighed per hop.
        settle_frames: the newest frames, which the encoder has heard too little after, are not scored yet.
        competing_floor: mean log-probability per symbol from which a form competes; a weaker one has lost.
        second_look_frames: a form first seen to end in so many newest frames waits for the next hop.
        look_again_floor: mean log-probability per symbol from which it is worth a hop of its own soon.
        tells_tentative: whether such forms are told already, as tentative ones.
        reading: which candidates the verifier reads.
    """

    exhaustive_forms: int = 1500
    proposals: int = 100
    proposal_frames: int = 20
    neighbours_per_span: int = 10
    late_frames: int = 60
    floor: float = -3.0
    most: int = 16
    settle_frames: int = 4
    competing_floor: float = -2.5
    second_look_frames: int = 2
    look_again_floor: float = -2.0
    tells_tentative: bool = False
    reading: ReadingConfig = field(default_factory=ReadingConfig)
