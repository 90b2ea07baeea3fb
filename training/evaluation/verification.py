"""Was this text said here? Span score, alignment score and both, as area under the ROC curve and equal error rate.

LibriPhrase-style (`training.evaluation.verification_pairs`): the easy split holds the words said and easy negatives,
the hard split the words said and hard negatives. A segment is heard as the stream would hear it, in a context of the
length that is served, which ends `after_s` after the segment. scikit-learn, which the train extra has in any case,
gives the ROC curve and the logistic regression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from streaming.encoding.encoded_context import EncodedContext
from streaming.encoding.whole_contexts import ContextEncoder
from streaming.entries import Form
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from streaming.spans import FRAME_SAMPLES, pool_spans
from streaming.spotting.alignment import AlignmentBank
from streaming.spotting.form_search import SpanEncoder
from streaming.symbols import CHARACTERS, PHONEMES
from training.evaluation.verification_pairs import Trial

Floats: TypeAlias = NDArray[np.float32]
Scores: TypeAlias = NDArray[np.float64]
SPLITS: Mapping[str, int] = {"easy": 1, "hard": 2}
"""The splits, and which text of a trial is the negative."""
SCORES = ("span", "alignment", "both")


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text as an index holds it: its form, and its unit vector float32[dim]."""

    form: Form
    vector: Floats


@dataclass(frozen=True, slots=True)
class HearingConfig:
    """How a segment is heard.

    Attributes:
        context_samples: of one pass of the encoder.
        after_s: seconds of the stream after the segment.
        margin_s: the alignment is restricted to the segment and so many seconds on either side of it.
        shift_frames: the span's bounds may be so many frames off, as references are; the best of nine spans counts.
    """

    context_samples: int = 48_000
    after_s: float = 0.4
    margin_s: float = 0.3
    shift_frames: int = 4


@dataclass(frozen=True, slots=True)
class TrialScores:
    """float64[n, 3] each: the scores of the text said, the easy and the hard one in each trial."""

    span: Scores
    alignment: Scores

    def part(self, rows: slice) -> "TrialScores":
        """The same of some trials."""
        return TrialScores(self.span[rows], self.alignment[rows])


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """One line of the table; `pairs` counts positives and negatives."""

    stream: str
    split: str
    score: str
    auc: float
    eer: float
    pairs: int


def score_trials(
    audio: Floats,
    trials: Sequence[Trial],
    texts: Mapping[str, SpokenText],
    frames: ContextEncoder,
    spans: SpanEncoder,
    config: HearingConfig | None = None,
) -> TrialScores:
    """Score the three texts of every trial on the same pass of the encoder.

    Args:
        audio: the stream, float32[n] at 16 kHz.
        trials: segments within it.
        texts: every text of the trials.
        frames: encodes contexts.
        spans: embeds pooled spans.
        config: how segments are heard.

    Raises:
        SettingError: a segment is longer than the context.
    """
    hearing = config or HearingConfig()
    span, alignment = np.zeros((len(trials), 3)), np.zeros((len(trials), 3))
    for row, trial in enumerate(trials):
        said = [texts[text] for text in trial.texts]
        context, start, end = hear(audio, trial.segment.start, trial.segment.end, hearing)
        encoded = frames.encode(context)
        vectors = spans.embed(pool_spans(encoded.frames, _shifted(start, end, hearing, len(encoded.frames))))
        span[row] = (np.stack([text.vector for text in said]) @ vectors.T).max(axis=1)
        margin = round(hearing.margin_s * SAMPLE_RATE / FRAME_SAMPLES)
        alignment[row] = align([text.form for text in said], encoded, max(0, start - margin), end + margin)
    return TrialScores(span, alignment)


def hear(audio: Floats, start_s: float, end_s: float, config: HearingConfig) -> tuple[Floats, int, int]:
    """The context of a segment, and its first frame and last frame + 1 there; silence beyond the audio's bounds.

    Raises SettingError for a segment that does not fit into the context.
    """
    end = round(end_s * SAMPLE_RATE)
    after = round(config.after_s * SAMPLE_RATE / FRAME_SAMPLES) * FRAME_SAMPLES
    last = end + after
    first = last - config.context_samples
    context = np.zeros(config.context_samples, np.float32)
    piece = audio[max(0, first) : max(0, last)]
    context[max(0, -first) : max(0, -first) + len(piece)] = piece
    end_frame = (config.context_samples - after) // FRAME_SAMPLES
    start_frame = end_frame - max(1, round((end_s - start_s) * SAMPLE_RATE / FRAME_SAMPLES))
    if start_frame < 0:
        raise SettingError(
            f"a segment of {end_s - start_s:.2f} s and {config.after_s} s after it do not fit into a context of "
            f"{config.context_samples / SAMPLE_RATE} s; draw shorter segments"
        )
    return context, start_frame, end_frame


def _shifted(start: int, end: int, config: HearingConfig, frames: int) -> NDArray[np.int32]:
    shifts = sorted({-config.shift_frames, 0, config.shift_frames})
    bounds = [(max(0, start + a), min(frames, end + b)) for a in shifts for b in shifts]
    return np.array([(a, b) for a, b in bounds if a < b] or [(start, end)], np.int32)


def align(forms: Sequence[Form], encoded: EncodedContext, first: int, last: int) -> Scores:
    """The best path of each form with free ends within frames [first, last): float64[n], the mean of both heads.

    A head's score is a mean log-probability per symbol; of several pronunciations the best counts, and without any the
    characters decide alone.
    """
    letters = AlignmentBank([form.characters for form in forms], len(CHARACTERS))
    score = letters.score(encoded.characters[first:last], 0).score.astype(np.float64)
    owners = [row for row, form in enumerate(forms) for _ in form.pronunciations]
    ways = AlignmentBank([way for form in forms for way in form.pronunciations], len(PHONEMES))
    spoken = np.full(len(forms), -np.inf)
    np.maximum.at(spoken, owners, ways.score(encoded.phonemes[first:last], 0).score)
    return np.asarray(np.where(np.isneginf(spoken), score, (score + spoken) / 2), np.float64)


def combine(fitted_on: Sequence[TrialScores], judged: TrialScores) -> Scores:
    """Both scores as one: the log-odds of a logistic regression on other trials than those judged, float64[n, 3]."""
    rows = np.concatenate([_rows(scores) for scores in fitted_on])
    is_said = np.concatenate([np.tile([True, False, False], len(scores.span)) for scores in fitted_on])
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=1e4))
    odds = model.fit(rows, is_said).decision_function(_rows(judged))
    return np.asarray(odds, np.float64).reshape(-1, 3)


def _rows(scores: TrialScores) -> Scores:
    """float64[3n, 2], trial by trial."""
    # A path that the frames leave no room for has no finite score; the lowest possible one stands for it.
    lowest = scores.alignment[np.isfinite(scores.alignment)].min(initial=0.0)
    return np.stack([scores.span.ravel(), np.maximum(scores.alignment, lowest).ravel()], axis=1)


def combine_held_out(scores: Mapping[str, TrialScores]) -> dict[str, Scores]:
    """Both scores of every stream, fitted on the other streams; of a single stream, each half fitted on the other.

    Streams of other voices are the honest way; halves in time share the voice but no trial.
    """
    if len(scores) > 1:
        return {name: combine([s for other, s in scores.items() if other != name], own) for name, own in scores.items()}
    ((name, own),) = scores.items()
    middle = len(own.span) // 2
    early, late = own.part(slice(None, middle)), own.part(slice(middle, None))
    return {name: np.concatenate([combine([late], early), combine([early], late)])}


def auc(said: Scores, other: Scores) -> float:
    """How often a text that was said scores above one that was not; a tie counts half."""
    return float(roc_auc_score(*_labelled(said, other)))


def equal_error_rate(said: Scores, other: Scores) -> float:
    """The share of wrong acceptances where that of wrong refusals is the same; lines join the points of the ROC."""
    accepted, found, _ = roc_curve(*_labelled(said, other), drop_intermediate=False)
    refused = 1 - found
    return float(np.interp(0.0, accepted - refused, accepted))


def _labelled(said: Scores, other: Scores) -> tuple[NDArray[np.bool_], Scores]:
    every = np.concatenate([said, other])
    # Paths without room rank below all others, at a finite score, as scikit-learn wants it.
    return np.arange(len(every)) < len(said), np.maximum(every, np.finfo(np.float32).min)


def verification_results(scores: Mapping[str, TrialScores]) -> list[VerificationResult]:
    """Every stream, split and kind of score. Raises SettingError where a stream has fewer than two trials."""
    for stream, own in scores.items():
        if len(own.span) < 2:
            raise SettingError(
                f"the stream {stream} gives {len(own.span)} trials; ask for more pairs or give more speech"
            )
    both = combine_held_out(scores)
    results = []
    for stream, own in scores.items():
        kinds = dict(zip(SCORES, (own.span, own.alignment, both[stream]), strict=True))
        for split, column in SPLITS.items():
            for kind, values in kinds.items():
                said, other = values[:, 0], values[:, column]
                figures = auc(said, other), equal_error_rate(said, other)
                results.append(VerificationResult(stream, split, kind, *figures, len(said) + len(other)))
    return results
