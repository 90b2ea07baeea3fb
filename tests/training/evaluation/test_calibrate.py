from collections.abc import Mapping

import numpy as np
import pytest

from streaming.calibration import FEATURES
from streaming.entries import Entry, make_form
from streaming.spotting.evidence import Evidence
from training.evaluation.calibrate import (
    THRESHOLDS,
    LabelledRows,
    candidates_of,
    decide_candidates,
    fit,
    label,
    recall_at,
    sweep,
    with_table,
)
from training.evaluation.stream_evidence import Hop, RecordingScorer, StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference, StreamScore
from training.export.folder import uncalibrated

TERMS = ("stochastic", "gradient", "banana")


def evidence(form: int, start: int, end: int, strength: float = 0.0) -> Evidence:
    """A form at frames [start, end] whose heads say `strength`."""
    numbers = dict.fromkeys(FEATURES, 0.0)
    numbers["characters"] = numbers["phonemes"] = strength
    return Evidence(form, start, end, numbers)


def stream(hops: Mapping[int, tuple[Evidence, ...]]) -> StreamEvidence:
    """Ten hops of 0.32 s from second 1, "stochastic gradients" being said at 1.6 to 2.8 s; evidence by hop."""
    entries = tuple(Entry(f"e{i}", term, {}) for i, term in enumerate(TERMS))
    forms = tuple(make_form(i, term, []) for i, term in enumerate(TERMS))
    reference = Reference(
        36.0, (Occurrence("stochastic", 1.6, 2.2),), (("stochastic", 1.6, 2.2), ("gradients", 2.3, 2.8))
    )
    bounds = [(16_000 + 5_120 * i, 16_000 + 5_120 * (i + 1)) for i in range(10)]
    return StreamEvidence(
        "s",
        300,
        reference,
        entries,
        forms,
        tuple(Hop(start, end, 0, hops.get(i, ())) for i, (start, end) in enumerate(bounds)),
    )


def test_neutral_candidates_are_left_out() -> None:
    """What was said is right, what was not is false, and an inflection of what was said teaches neither."""
    rows = label(stream({4: (evidence(0, 80, 109), evidence(1, 115, 139), evidence(2, 80, 109))}))
    assert rows.features.shape == (2, len(FEATURES))
    assert rows.right.tolist() == [True, False]


def test_rows_of_one_event_share_its_weight() -> None:
    """One utterance seen in three hops weighs as much as one seen once; a second later is another event."""
    spoken = {4: (evidence(0, 80, 109),), 5: (evidence(0, 81, 109),), 6: (evidence(0, 80, 110), evidence(2, 60, 90))}
    rows = label(stream({**spoken, 9: (evidence(2, 150, 180),)}))
    np.testing.assert_allclose(rows.weight, [1 / 3, 1 / 3, 1 / 3, 1.0, 1.0])


def test_fit_recovers_a_logistic_model() -> None:
    """Probabilities drawn from a known logistic model are had back from its outcomes."""
    rng = np.random.default_rng(7)
    features = rng.normal(0.5, 2.0, (20_000, len(FEATURES)))
    weights = rng.normal(0.0, 0.4, len(FEATURES))
    truth = 1 / (1 + np.exp(-(features @ weights - 1.0)))
    right = rng.random(len(truth)) < truth
    parts = [LabelledRows(features[i::2], right[i::2], np.ones(10_000)) for i in (0, 1)]
    found = fit(parts).probability(features)
    assert np.abs(found - truth).mean() < 0.01
    # A row six deviations out has a standard error of 0.03 on its probability; this is four of them.
    assert np.abs(found - truth).max() < 0.12


def test_weights_count_rows() -> None:
    """A row of weight 2 teaches as two rows of weight 1."""
    rng = np.random.default_rng(0)
    features, right = rng.normal(size=(400, len(FEATURES))), rng.random(400) < 0.3
    # Standardisation is unweighted: both calls see the same mean and deviation.
    once = fit([LabelledRows(np.tile(features, (2, 1)), np.tile(right, 2), np.ones(800))])
    twice = fit([LabelledRows(np.tile(features, (2, 1)), np.tile(right, 2), np.repeat([2.0, 0.0], 400))])
    np.testing.assert_allclose(once.probability(features), twice.probability(features), atol=1e-8)


def test_separable_rows_stay_finite() -> None:
    """Where a feature tells right from wrong without fail, the ridge keeps the weights finite."""
    features = np.zeros((50, len(FEATURES)))
    features[:, 0] = np.linspace(-1, 1, 50)
    calibration = fit([LabelledRows(features, features[:, 0] > 0, np.ones(50))])
    probability = calibration.probability(features)
    assert np.isfinite(calibration.weights).all()
    assert (probability[features[:, 0] > 0.5] > 0.8).all()
    assert (probability[features[:, 0] < -0.5] < 0.2).all()


def score(false: int, hours: float, found: int = 0) -> StreamScore:
    """A score of a stream with ten occurrences."""
    return StreamScore(10, found, false, 0, hours, ())


def test_table_falls_with_the_threshold() -> None:
    """False hints per hour are pooled over streams, and chance never makes more of them at a higher threshold."""
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 40, (2, 2, len(THRESHOLDS)))
    sweeps = {
        size: [[score(int(n), hours) for n in row] for row, hours in zip(rows, (0.5, 1.5), strict=True)]
        for size, rows in zip((1_000, 300), counts, strict=True)
    }
    table = with_table(uncalibrated(), sweeps)
    assert table.sizes == (300, 1_000)
    assert table.false_per_hour.shape == (2, len(THRESHOLDS))
    assert (np.diff(table.false_per_hour, axis=1) <= 0).all()
    assert table.false_per_hour[0, -1] == counts[1, :, -1].sum() / 2.0
    assert table.false_per_hour[1, 0] == max(counts[0, :, i].sum() for i in range(len(THRESHOLDS))) / 2.0


def test_recall_is_taken_within_the_false_hints_allowed() -> None:
    """Of the points within the limit the best recall counts; where none is, the strictest point."""
    scores = [score(40, 1.0, 9), score(12, 1.0, 7), score(3, 1.0, 5), score(2, 1.0, 1)]
    assert recall_at(scores, 12.0).recall == 0.7
    assert recall_at(scores, 1.0) is scores[-1]


def test_candidates_are_the_best_of_each_entry() -> None:
    """One candidate an entry, most probable first, with its span on the stream's clock and inside the hop."""
    hop = Hop(16_000, 21_120, -4_800, (evidence(0, 10, 30, -1.0), evidence(0, 12, 31, -0.5), evidence(1, 0, 99, -0.1)))
    first, second = candidates_of(hop, stream({}).forms, uncalibrated())
    assert (first.entry_index, first.start_sample, first.end_sample) == (1, 0, 21_120)
    assert (second.entry_index, second.start_sample, second.end_sample) == (0, 0, 32 * 320 - 4_800)
    assert first.probability > second.probability
    assert candidates_of(Hop(0, 5_120, 0, ()), (), uncalibrated()) == []


def test_decisions_are_judged() -> None:
    """A sweep runs the real decision stage: strong evidence is found at low thresholds and silenced at high ones."""
    one = stream({4: (evidence(0, 80, 109, -0.2),), 8: (evidence(2, 150, 180, -0.8),)})
    scores = sweep(one, uncalibrated())
    assert len(scores) == len(THRESHOLDS)
    assert (scores[0].found, scores[0].false) == (1, 1)
    assert (scores[-1].found, scores[-1].false) == (0, 0)
    assert [s.found + s.false for s in scores] == sorted((s.found + s.false for s in scores), reverse=True)
    assert scores[0].latencies == pytest.approx(((16_000 + 5 * 5_120) / 16_000 - 2.2,))
    candidates = [candidates_of(hop, one.forms, uncalibrated()) for hop in one.hops]
    assert decide_candidates(one, candidates, 0.5) == scores[int(np.searchsorted(THRESHOLDS, 0.5))]


class FixedScorer:
    """Gives the same evidence at every hop."""

    def evidence(self, encoded: object, first_hop_frame: int, context_start_sample: int) -> list[Evidence]:
        """One form."""
        return [evidence(0, first_hop_frame, first_hop_frame + 10)]


def test_recording_keeps_evidence_of_every_index() -> None:
    """One encoder pass serves several glossaries; nothing is proposed, and a reset forgets."""
    recorder = RecordingScorer({"a": FixedScorer(), "b": FixedScorer()})  # type: ignore[dict-item]
    assert recorder.score(None, 3_200, 16_000, 30) == []  # type: ignore[arg-type]
    assert recorder.hops["a"] == recorder.hops["b"] == [Hop(3_200 + 30 * 320, 16_000, 3_200, (evidence(0, 30, 40),))]
    recorder.reset()
    assert recorder.hops == {"a": [], "b": []}
