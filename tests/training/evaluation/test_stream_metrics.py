import math

import pytest

from training.evaluation.stream_metrics import (
    Judge,
    Occurrence,
    Reference,
    StreamScore,
    TimedHint,
    is_variant,
    score_stream,
)

REFERENCE = Reference(
    7_200.0,
    (Occurrence("stochastic gradient", 10.0, 11.0), Occurrence("ion", 20.0, 20.4), Occurrence("ion", 22.0, 22.4)),
    (
        ("stochastic", 10.0, 10.5),
        ("gradient", 10.5, 11.0),
        ("an", 19.8, 20.0),
        ("ion", 20.0, 20.4),
        ("ion", 22.0, 22.4),
        ("distempers", 30.0, 30.8),
        ("base", 40.0, 40.3),
        ("line", 40.3, 40.6),
    ),
)


def hint(term: str, start: float, end: float, emitted: float | None = None) -> TimedHint:
    """A hint that leaves half a second after its span unless said otherwise."""
    return TimedHint(term, start, end, end + 0.5 if emitted is None else emitted)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (hint("stochastic gradient", 10.1, 10.9), "right"),
        (hint("Stochastic Gradient", 10.1, 10.9), "right"),  # capitals of a glossary say nothing
        (hint("ion", 20.9, 21.1), "right"),  # 0.5 s late, within the tolerance
        (hint("ion", 23.3, 23.6), "false"),
        (hint("ion", 50.0, 50.4), "false"),
        (hint("distemper", 30.1, 30.7), "neutral"),  # an inflected form of it was said
        (hint("baseline", 40.0, 40.6), "neutral"),  # the same letters in two words
        (hint("gradient descent", 10.5, 11.2), "false"),  # only half of it was said
    ],
)
def test_verdict_of_one_hint(given: TimedHint, verdict: str) -> None:
    """A hint is right, neutral or false by what was said around its span."""
    assert Judge(REFERENCE).verdict(given) == verdict
    assert Judge(REFERENCE).judge(given)[0] == verdict


def test_latency_is_from_the_end_of_the_term() -> None:
    """Latency runs from the reference end of the occurrence to the emission, on the audio clock."""
    verdict, latency = Judge(REFERENCE).judge(hint("ion", 20.0, 20.3, emitted=20.9))
    assert verdict == "right"
    assert latency == pytest.approx(0.5)


def test_an_occurrence_is_found_once() -> None:
    """A second hint for a found occurrence is neutral, and the next occurrence is right again."""
    judge = Judge(REFERENCE)
    verdicts = [judge.judge(hint("ion", t, t + 0.4))[0] for t in (20.0, 20.1, 22.0, 22.1)]
    assert verdicts == ["right", "neutral", "right", "neutral"]


def test_a_verdict_is_not_remembered() -> None:
    """Asking for a verdict leaves the occurrence to be found."""
    judge = Judge(REFERENCE)
    assert judge.verdict(hint("ion", 20.0, 20.4)) == "right"
    assert judge.judge(hint("ion", 20.0, 20.4))[0] == "right"


def test_capitals_of_the_reference_say_nothing() -> None:
    """A reference that writes its terms with capitals is met by the same hints."""
    reference = Reference(10.0, (Occurrence("DNA", 1.0, 1.5),), (("dna", 1.0, 1.5),))
    assert Judge(reference).verdict(hint("DNA", 1.0, 1.5)) == "right"


def test_score_of_a_stream() -> None:
    """Counts, rates and latencies of a stream, by hand."""
    hints = [
        hint("ion", 20.0, 20.4, emitted=20.8),
        hint("ion", 20.1, 20.4, emitted=20.9),
        hint("ion", 50.0, 50.4),
        hint("stochastic gradient", 10.0, 11.0, emitted=11.2),
    ]
    score = score_stream(REFERENCE, hints)
    assert (score.occurrences, score.found, score.false, score.neutral, score.hours) == (3, 2, 1, 1, 2.0)
    assert score.latencies == pytest.approx((0.2, 0.4))
    assert score.recall == pytest.approx(2 / 3)
    assert score.precision == pytest.approx(2 / 3)
    assert score.false_per_hour == pytest.approx(0.5)
    assert score.latency(0.5) == pytest.approx(0.3)


def test_an_empty_stream_has_figures() -> None:
    """Without occurrences and hints, rates are 0 and the latency is not a number."""
    score = score_stream(Reference(60.0, (), ()), [])
    assert score == StreamScore(0, 0, 0, 0, 60.0 / 3600, ())
    assert (score.recall, score.precision, score.false_per_hour) == (0.0, 0.0, 0.0)
    assert math.isnan(score.latency(0.5))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("distemper", "distempers", True),
        ("gradient", "gradients", True),
        ("calibrate", "calibration", True),
        ("ion", "ions", False),  # a stem of three letters is too short to tell
        ("house", "horse", False),
        ("inter", "international", False),  # far less than most of the longer word
    ],
)
def test_variants_share_a_stem(a: str, b: str, same: bool) -> None:
    """Words of one stem share at least four letters and most of both."""
    assert is_variant(a, b) is is_variant(b, a) is same


def test_reference_is_read_from_json() -> None:
    """The JSON of a stream gives its reference."""
    raw = {
        "duration_s": 3,
        "occurrences": [{"term": "ion", "start": 1, "end": 1.5}],
        "words": [["an", 0.8, 1], ["ion", 1, 1.5]],
        "name": "more keys are left alone",
    }
    assert Reference.from_json(raw) == Reference(
        3.0, (Occurrence("ion", 1.0, 1.5),), (("an", 0.8, 1.0), ("ion", 1.0, 1.5))
    )
