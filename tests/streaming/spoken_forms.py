"""Terms with several forms, and contexts in which one of them is said."""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.calibration import FEATURES, Calibration
from streaming.decision import Candidate
from streaming.encoding.encoded_context import EncodedContext
from streaming.entries import Entry, make_form
from streaming.scoring import TermScorer
from streaming.spans import FRAME_SAMPLES, PARTS
from streaming.spotting.scoring_config import ScoringConfig
from streaming.symbols import BLANK, CHARACTERS, PHONEMES
from streaming.term_index import TermIndex

Floats = NDArray[np.float32]
Ids = NDArray[np.int16]
FRAMES = 150
CONTEXT_START = 16_000
HOP_END = CONTEXT_START + FRAMES * FRAME_SAMPLES
HOP_FRAME = FRAMES - 16
UNHEARD = -9.0

# Entry 1 has two forms; entry 3 has no pronunciation, so its letters decide alone.
ENTRIES = tuple(Entry(f"e{i}", term, {}) for i, term in enumerate(("plague", "gradient", "leisure", "ion")))
FORMS = (
    make_form(0, "plague", [[("P", "L", "EY", "G")]]),
    make_form(1, "gradient", [[("G", "R", "EY", "D", "AH", "N", "T")], [("G", "R", "EY", "D", "IY", "AH", "N", "T")]]),
    make_form(1, "slope", [[("S", "L", "OW", "P")]]),
    make_form(2, "leisure", [[("L", "IY", "ZH", "ER")], [("L", "EH", "ZH", "ER")]]),
    make_form(3, "ion", []),
)
PLAGUE, GRADIENT, SLOPE, LEISURE, ION = range(5)
BACKGROUND = np.tile(np.array([-4.0, -3.0, -3.5, -2.5], np.float32), (len(FORMS), 1))


class MeanSpanEncoder:
    """The mean of a span's parts, brought to unit norm."""

    hubs = np.zeros((0, len(FORMS)), np.float32)

    def __init__(self) -> None:
        self.spans = 0

    def embed(self, pooled: Floats) -> Floats:
        """float32[n, 6 * dim] -> float32[n, dim]."""
        self.spans += len(pooled)
        mean = pooled.reshape(len(pooled), PARTS, -1).mean(axis=1) + 1e-6
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def calibration_of(**weight_of: float) -> Calibration:
    """By default both heads' scores alone decide: perfect ones give sigmoid(3)."""
    chosen = weight_of or {"characters": 3.0, "phonemes": 3.0}
    weights = np.array([chosen.get(name, 0.0) for name in FEATURES])
    size = len(FEATURES)
    return Calibration(np.zeros(size), np.ones(size), weights, 3.0, (1,), np.array([0.5]), np.zeros((1, 1)))


def index_of_forms() -> TermIndex:
    """All forms, each with a unit vector of its own."""
    vectors = np.eye(len(FORMS), dtype=np.float32)
    return TermIndex(ENTRIES, FORMS, vectors, BACKGROUND, "fake", "v1")


def plant(sequence: Ids, start: int, step: int, vocabulary: int) -> Floats:
    """Log-probabilities in which each symbol of `sequence` is certain for one frame of `step`, blank elsewhere."""
    log_probs = np.full((FRAMES, vocabulary), UNHEARD, np.float32)
    log_probs[:, BLANK] = 0.0
    for frame, symbol in zip(range(start, FRAMES, step), sequence.tolist(), strict=False):
        log_probs[frame, [BLANK, symbol]] = UNHEARD, 0.0
    return log_probs


def spoken(form: int, end: int, step: int = 4, way: int = 0) -> EncodedContext:
    """A context in which one form is said and ends in frame `end` in both heads; its vector stands in its frames."""
    letters = FORMS[form].characters
    sounds = FORMS[form].pronunciations[way] if FORMS[form].pronunciations else np.zeros(0, np.int16)
    frames = np.zeros((FRAMES, len(FORMS)), np.float32)
    start = end - step * (len(letters) - 1)
    frames[start : end + 1, form] = 1.0
    return EncodedContext(
        plant(letters, start, step, len(CHARACTERS)),
        plant(sounds, end - step * (len(sounds) - 1), step, len(PHONEMES)),
        frames,
    )


# All frames are settled, and no word may go on, unless a test asks otherwise.
config_of = functools.partial(ScoringConfig, settle_frames=0, second_look_frames=0)


def scorer_of(config: ScoringConfig | None = None) -> TermScorer:
    """One over all forms."""
    return TermScorer(index_of_forms(), MeanSpanEncoder(), calibration_of(), config or config_of())


def score_of(scorer: TermScorer, encoded: EncodedContext) -> Sequence[Candidate]:
    """The candidates of a context whose newest hop is 16 frames."""
    return scorer.score(encoded, CONTEXT_START, HOP_END, HOP_FRAME)


def random_log_probs(seed: int, vocabulary: int, frames: int = 40) -> Floats:
    """Noise: float32[frames, vocabulary]."""
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, vocabulary))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)
