from dataclasses import replace

import numpy as np
import pytest

from streaming.calibration import FEATURES
from streaming.entries import Entry, make_form
from streaming.spotting.evidence import Evidence
from training.evaluation.calibrate import THRESHOLDS, fit, label, sweep
from training.evaluation.fit_streams import CalibrationError, fit_streams, judge_changed, nominal_size
from training.evaluation.stream_evidence import Hop, StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference

WORDS = ("stochastic", "banana", "gradient")


def heard(name: str, size: int = 3, said: float = -0.1, other: float = -1.5) -> StreamEvidence:
    """A stream of 8 s in which the first word is said, with the heads' scores for it and for the second."""
    entries = tuple(Entry(f"e{i}", word, {}) for i, word in enumerate(WORDS))
    forms = tuple(make_form(i, word, []) for i, word in enumerate(WORDS))
    found = []
    for form, strength in ((0, said), (1, other)):
        numbers = dict.fromkeys(FEATURES, 0.0) | {"characters": strength, "phonemes": strength}
        found.append(Evidence(form, 200, 219, numbers))
    hops = tuple(Hop(i * 5_120, (i + 1) * 5_120, 0, tuple(found) if i == 13 else ()) for i in range(25))
    reference = Reference(8.0, (Occurrence(WORDS[0], 4.0, 4.4),), ((WORDS[0], 4.0, 4.4),))
    return StreamEvidence(name, size, reference, entries, forms, hops)


def test_a_stream_is_judged_with_weights_of_other_voices() -> None:
    """Its own evidence, and that of a stream of the same name with another number, has no part in its figures."""
    streams = [heard("one"), heard("two", said=-0.5), heard("two2", said=-0.9)]
    fitted = fit_streams(streams)
    assert list(fitted.fits[0].sweep) == sweep(streams[0], fit([label(streams[1]), label(streams[2])]))
    assert list(fitted.fits[1].sweep) == sweep(streams[1], fit([label(streams[0])]))
    assert fitted.honesty.rows.sum() == 6


def test_speech_that_sounds_otherwise_is_judged_with_what_clean_speech_of_others_taught() -> None:
    """Its own clean evidence would flatter it, and its changed one is not what a model is calibrated on."""
    clean = [heard("one"), heard("two", said=-0.5)]
    noisy = [heard("one", said=-1.0), heard("two2", said=-2.0)]
    first, second = judge_changed(clean, noisy)
    assert list(first.sweep) == sweep(noisy[0], fit([label(clean[1])]))
    assert list(second.sweep) == sweep(noisy[1], fit([label(clean[0])]))
    assert set(first.dial) == {12, 60, 300}
    assert judge_changed(clean, clean)[0] == fit_streams(clean).fits[0]
    with pytest.raises(CalibrationError, match="no right candidate"):
        judge_changed([replace(heard("one"), hops=())], noisy)


def test_what_ships_is_fitted_on_all_of_the_smallest_glossaries() -> None:
    """Larger glossaries give a row of the table and no weights."""
    small, large = heard("one", 3), heard("one", 1_000, said=-3.0, other=-0.1)
    fitted = fit_streams([small, large])
    np.testing.assert_array_equal(fitted.calibration.weights, fit([label(small)]).weights)
    assert fitted.calibration.sizes == (3, 1_000)
    assert fitted.calibration.false_per_hour.shape == (2, len(THRESHOLDS))


def test_speech_counts_once_however_often_it_is_heard() -> None:
    """Two streams of 8 s, one of them with two glossaries."""
    assert fit_streams([heard("one"), heard("one", 1_000), heard("two")]).hours == pytest.approx(16 / 3600)


def test_the_report_tells_recall_at_false_hints() -> None:
    """One row a stream and glossary, as the folder keeps it."""
    (row,) = fit_streams([heard("one")]).report()["streams"]
    assert row == {
        "stream": "one",
        "terms": 3,
        "recall_at_false_hints_per_hour": {"12": 1.0, "60": 1.0, "300": 1.0},
    }


def test_the_report_tells_what_a_new_voice_gets() -> None:
    """For the false hints asked for, what came: with weights, table and budget of the other voices alone."""
    streams = [heard("one"), heard("two", said=-0.5), heard("three", said=-0.9)]
    for row in fit_streams(streams).report()["streams"]:
        assert row["at_false_hints_asked_for"] == {
            asked: {"false_per_hour": 0.0, "recall": 1.0} for asked in ("12", "60", "300")
        }


def test_streams_without_right_or_wrong_candidates_are_refused() -> None:
    """The message says which kind is missing."""
    silent = replace(heard("one"), hops=())
    with pytest.raises(CalibrationError, match=r"^1 stream gave no right candidate .* alignment is 0 .* have times"):
        fit_streams([silent])
    with pytest.raises(CalibrationError, match=r"^2 streams gave no right candidate"):
        fit_streams([silent, replace(silent, name="two")])
    only_right = replace(heard("one"), hops=tuple(replace(h, evidence=h.evidence[:1]) for h in heard("one").hops))
    with pytest.raises(CalibrationError, match="no wrong candidate"):
        fit_streams([only_right])


def test_other_voices_with_one_kind_of_candidate_do_not_count() -> None:
    """Where the others hold only right candidates, a stream is judged with all of them rather than not at all."""
    one = heard("one")
    right = replace(heard("two"), hops=tuple(replace(h, evidence=h.evidence[:1]) for h in one.hops))
    fitted = fit_streams([one, right])
    assert list(fitted.fits[0].sweep) == sweep(one, fit([label(one), label(right)]))


@pytest.mark.parametrize(
    ("entries", "size"), [(3, 3), (300, 300), (334, 300), (996, 1_000), (10_000, 10_000), (17, 20)]
)
def test_nominal_sizes_have_one_digit(entries: int, size: int) -> None:
    """Glossaries of about the same size share a row of the table."""
    assert nominal_size(entries) == size
