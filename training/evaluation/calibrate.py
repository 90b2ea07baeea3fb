"""Evidence of long streams -> the logistic model and the table of false hints.

Fitted on the development streams. Every figure of a stream is made with weights fitted on the other streams, so that
the dial is honest about speech it was not tuned on; what ships is fitted on all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming.calibration import Calibration, stack_features
from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.entries import Form
from streaming.events import SAMPLE_RATE, Hint
from streaming.spans import FRAME_SAMPLES
from training.evaluation.stream_evidence import Hop, StreamEvidence
from training.evaluation.stream_metrics import Judge, StreamScore, TimedHint, score_stream

Floats = NDArray[np.float64]
_NEWTON_STEPS = 30
# As many events as a stream of half an hour has of each kind: the ridge weighs against them.
_ROWS_PER_SIDE = 500.0
THRESHOLDS: tuple[float, ...] = tuple(np.round(1 / (1 + np.exp(-np.linspace(-5.0, 6.0, 67))), 6))


def _seconds(hop: Hop, frame: int) -> float:
    return (hop.context_start_sample + frame * FRAME_SAMPLES) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """`features` float64[n, k], `right` bool[n], `weight` float64[n]: 1 over the rows of one event."""

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    weight: NDArray[np.float64]


def label(stream: StreamEvidence) -> LabelledRows:
    """Every candidate with its verdict; neutral ones are left out. Rows of one entry within a second are one event."""
    rows: list[tuple[dict[str, float], bool, tuple[int, int]]] = []
    event_of: dict[int, tuple[float, int]] = {}
    count: dict[tuple[int, int], int] = {}
    judge = Judge(stream.reference)
    for hop in stream.hops:
        for found in hop.evidence:
            entry = stream.forms[found.form_index].entry_index
            start, end = _seconds(hop, found.start), _seconds(hop, found.end + 1)
            hint = TimedHint(stream.entries[entry].term, start, end, hop.end_sample / SAMPLE_RATE)
            verdict = judge.verdict(hint)
            if verdict == "neutral":
                continue
            last, event = event_of.get(entry, (-9.0, 0))
            event += end > last + 1.0
            event_of[entry] = (max(end, last), event)
            count[entry, event] = count.get((entry, event), 0) + 1
            rows.append((found.features, verdict == "right", (entry, event)))
    return LabelledRows(
        stack_features([f for f, _, _ in rows]),
        np.array([r for _, r, _ in rows], bool),
        np.array([1.0 / count[key] for _, _, key in rows]),
    )


def _newton(design: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.float64], ridge: float) -> Floats:
    """Weighted logistic regression; the last column of `design` is the constant, which the ridge spares."""
    penalty = np.diag([ridge] * (design.shape[1] - 1) + [1e-6])
    beta = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (weight * (right - p)) - penalty @ beta
        curvature = (design * (weight * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ design + penalty
        beta += np.linalg.solve(curvature, gradient)
    return beta


def fit(rows: Sequence[LabelledRows], ridge: float = 25.0) -> Calibration:
    """A logistic model of the evidence, with an empty table.

    First the weights, with every stream counting alike and within it right and false alike, so that neither the longest
    stream nor the commonest kind of row decides how candidates are ranked. Then scale and bias (Platt 1999) with the
    frequencies as they were, so that the probability is an honest one.

    Args:
        rows: of each stream.
        ridge: what the square of a weight costs, in events of the streams. The default is what gave other voices the
            best recall (`training/EXPERIMENTS.md`); with less, streams of one kind lend their trust in the verifier to
            another kind.
    """
    features = np.concatenate([r.features for r in rows])
    right = np.concatenate([r.right for r in rows])
    frequency = np.concatenate([r.weight for r in rows])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    constant = np.ones((len(features), 1))
    design = np.concatenate([(features - mean) / scale, constant], axis=1)
    balanced = np.concatenate([_balanced(r) for r in rows])
    beta = _newton(design, right, balanced, ridge)
    stretch, bias = _newton(np.concatenate([(design @ beta)[:, None], constant], axis=1), right, frequency, 0.0)
    weights = beta[:-1] * stretch
    return Calibration(
        mean, scale, weights, float(beta[-1] * stretch + bias), (300,), np.array([0.5]), np.zeros((1, 1))
    )


def _balanced(rows: LabelledRows) -> Floats:
    """Weights under which right and false rows sum to the same."""
    weight = rows.weight.copy()
    for side in (rows.right, ~rows.right):
        if side.any():
            weight[side] *= _ROWS_PER_SIDE / weight[side].sum()
    return weight


def candidates_of(hop: Hop, forms: Sequence[Form], calibration: Calibration) -> list[Candidate]:
    """The hop's best candidate per entry, as `TermScorer.score` gives it."""
    if not hop.evidence:
        return []
    probabilities = calibration.probability(stack_features([e.features for e in hop.evidence]))
    best: dict[int, Candidate] = {}
    for found, probability in zip(hop.evidence, probabilities, strict=True):
        entry = forms[found.form_index].entry_index
        if entry not in best or best[entry].probability < probability:
            start = hop.context_start_sample + found.start * FRAME_SAMPLES
            end = hop.context_start_sample + (found.end + 1) * FRAME_SAMPLES
            best[entry] = Candidate(
                entry, found.form_index, max(0, start), min(end, hop.end_sample), float(probability)
            )
    return sorted(best.values(), key=lambda c: (-c.probability, c.entry_index))


def decide_candidates(
    stream: StreamEvidence, candidates: Sequence[Sequence[Candidate]], threshold: float
) -> StreamScore:
    """Run the decision stage over recorded candidates and judge its hints."""
    return decide_by(stream, candidates, DecisionConfig(threshold))


def decide_by(stream: StreamEvidence, candidates: Sequence[Sequence[Candidate]], config: DecisionConfig) -> StreamScore:
    """The same with any settings of the decision stage."""
    decider, hints, expected = Decider(stream.entries, config), [], 0.0
    for hop, some in zip(stream.hops, candidates, strict=True):
        for event in decider.feed(hop.start_sample, hop.end_sample, some):
            if isinstance(event, Hint):
                expected += 1.0 - event.score
                hints.append(
                    TimedHint(
                        event.term,
                        event.start_sample / SAMPLE_RATE,
                        event.end_sample / SAMPLE_RATE,
                        event.emitted_sample / SAMPLE_RATE,
                    )
                )
    return replace(score_stream(stream.reference, hints), expected_false=expected)


def sweep(stream: StreamEvidence, calibration: Calibration) -> list[StreamScore]:
    """The figures of one stream at every threshold of THRESHOLDS."""
    candidates = [candidates_of(hop, stream.forms, calibration) for hop in stream.hops]
    return [decide_candidates(stream, candidates, threshold) for threshold in THRESHOLDS]


def recall_at(scores: Sequence[StreamScore], false_per_hour: float) -> StreamScore:
    """The point of a sweep with the highest recall among those that stay within the false hints asked for."""
    within = [s for s in scores if s.false_per_hour <= false_per_hour]
    return max(within, key=lambda s: s.recall) if within else scores[-1]


def with_table(calibration: Calibration, sweeps: Mapping[int, Sequence[Sequence[StreamScore]]]) -> Calibration:
    """Add the table: false hints per hour at each threshold, pooled over the streams of each glossary size.

    Beside it stands how many of them the probabilities made one expect.
    """
    sizes = tuple(sorted(sweeps))

    def per_hour(count: Callable[[StreamScore], float]) -> Floats:
        pooled = [[[one[i] for one in sweeps[n]] for i in range(len(THRESHOLDS))] for n in sizes]
        return np.array([[sum(map(count, some)) / sum(s.hours for s in some) for some in row] for row in pooled])

    # More threshold never means more false hints; small counts may say so by chance.
    table = np.maximum.accumulate(per_hour(lambda score: score.false)[:, ::-1], axis=1)[:, ::-1]
    return replace(
        calibration,
        sizes=sizes,
        thresholds=np.array(THRESHOLDS),
        false_per_hour=table,
        expected_per_hour=per_hour(lambda score: score.expected_false),
    )
