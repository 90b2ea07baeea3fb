"""So many false hints an hour, whoever speaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.entries import Entry
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE, Abstention, Hint
from streaming.false_hint_budget import FalseHintBudget, SpentBudget, ThresholdCurve

THRESHOLDS = tuple(np.round(1 / (1 + np.exp(-np.linspace(-4, 6, 41))), 6).tolist())
# Of the voices it was measured on: false hints fall as the threshold rises, and as many were expected.
FALSE = tuple((400.0 * (1 - np.array(THRESHOLDS))).tolist())
CURVE = ThresholdCurve(THRESHOLDS, FALSE, FALSE)
HOP = 10_240
ENTRIES = [Entry(f"e{number}", f"term {number}", {}) for number in range(40)]


def heard(probabilities: list[list[float]], config: DecisionConfig) -> list[Hint]:
    """The hints of a stream with such candidates in each hop, of ever other entries."""
    decider, hints = Decider(ENTRIES, config), []
    for hop, some in enumerate(probabilities):
        start = hop * HOP
        found = [
            Candidate((7 * hop + n) % len(ENTRIES), 0, start + 100 * n, start + 100 * n + 99, p)
            for n, p in enumerate(some)
        ]
        hints += [event for event in decider.feed(start, start + HOP, found) if isinstance(event, Hint)]
    return hints


def hour_of(rate: float, seed: int) -> tuple[list[list[float]], np.random.Generator]:
    """An hour of hops of 0.64 s, of which a share has a candidate, of any probability."""
    rng = np.random.default_rng(seed)
    hops = 3600 * SAMPLE_RATE // HOP
    return [[float(rng.random())] if rng.random() < rate else [] for _ in range(hops)], rng


def false_of(hints: list[Hint], rng: np.random.Generator) -> int:
    """Each is false as often as its probability says."""
    return sum(rng.random() > hint.score for hint in hints)


@pytest.mark.parametrize(("asked", "rate"), [(12, 0.4), (12, 0.8), (60, 0.2), (60, 0.8), (300, 0.2), (300, 0.8)])
def test_an_hour_has_about_the_false_hints_asked_for(asked: int, rate: float) -> None:
    """With a fifth and with four fifths of the hops in doubt; one threshold for both would be off by a factor."""
    hops, rng = hour_of(rate, 3)
    hints = heard(hops, DecisionConfig(CURVE.threshold(asked), budget=FalseHintBudget(asked, CURVE)))
    possible = sum(1 - p for hop in hops for p in hop)
    assert sum(1 - hint.score for hint in hints) == pytest.approx(min(asked, possible), rel=0.2)
    # By chance, so that few of them are told with less certainty.
    assert false_of(hints, rng) == pytest.approx(min(asked, possible), abs=3 * min(asked, possible) ** 0.5)


def test_one_threshold_for_all_does_not() -> None:
    """What the budget is for: the same threshold gives a wordy voice sixteen times the false hints of another."""
    few, many = (
        sum(1 - hint.score for hint in heard(hour_of(rate, 3)[0], DecisionConfig(CURVE.threshold(60))))
        for rate in (0.05, 0.8)
    )
    assert many > 10 * few


def test_it_begins_with_the_threshold_of_the_table() -> None:
    """Nothing is known of the voice yet."""
    assert SpentBudget(FalseHintBudget(60, CURVE)).threshold == CURVE.threshold(60)


def test_what_was_overspent_is_made_up_for() -> None:
    """Doubtful hints raise the threshold, time lowers it again; neither goes beyond four times the asked for."""
    spent = SpentBudget(FalseHintBudget(60, CURVE))
    for _ in range(30):
        spent.spend(0.5)
    assert spent.threshold == CURVE.threshold(15)
    spent.hear(0, 3600 * SAMPLE_RATE)
    assert spent.threshold == CURVE.threshold(240)


def test_who_speaks_next_need_not_pay_for_who_spoke_before() -> None:
    """After seven hours without a doubt, or a thousand doubtful hints, it takes minutes to be where it began."""
    spent = SpentBudget(FalseHintBudget(60, CURVE))
    spent.hear(0, 7 * 3600 * SAMPLE_RATE)
    for _ in range(30):
        spent.spend(0.7)
    assert spent.threshold == CURVE.threshold(60)
    for _ in range(1000):
        spent.spend(0.5)
    assert spent.threshold == CURVE.threshold(15)
    end = 7 * 3600 * SAMPLE_RATE
    spent.hear(end, end + 9 * 60 * SAMPLE_RATE)
    assert spent.threshold == CURVE.threshold(60)


def test_an_abstention_tells_what_it_was_held_against() -> None:
    """The threshold as it is by then, so that a score above the first one is no riddle."""
    decider = Decider(ENTRIES, DecisionConfig(0.5, budget=FalseHintBudget(60, CURVE)))
    for hop in range(40):
        doubtful = [Candidate(hop, 0, hop * HOP, hop * HOP + 99, 0.87)]
        [event] = decider.feed(hop * HOP, (hop + 1) * HOP, doubtful)
    assert isinstance(event, Abstention)
    assert event.threshold is not None
    assert CURVE.threshold(60) < event.best_score < event.threshold


def test_what_is_heard_again_counts_once() -> None:
    """A flush decides on the beginning of a hop that is decided on again."""
    one, other = (SpentBudget(FalseHintBudget(60, CURVE)) for _ in range(2))
    one.hear(0, 320_000)
    other.hear(0, 200_000)
    other.hear(0, 320_000)
    for each in (one, other):
        each.spend(0.3)
    assert one.threshold == other.threshold


def test_a_curve_knows_how_far_its_probabilities_can_be_trusted() -> None:
    """Where twice as many hints were false as expected, a hint costs twice; where nothing was counted, once."""
    thresholds, false = (0.1, 0.5, 0.9), (99.5, 49.5, 19.5)
    doubted = ThresholdCurve(thresholds, false, (49.5, 24.5, 9.5))
    assert doubted.false_per_expected(100) == 2.0
    assert ThresholdCurve(thresholds, false).false_per_expected(100) == 1.0
    trusted = ThresholdCurve(thresholds, false, false)
    spent = [SpentBudget(FalseHintBudget(100, curve)) for curve in (doubted, trusted)]
    for each in spent:
        for _ in range(12):
            each.spend(0.8)
    assert [each.threshold for each in spent] == [0.9, 0.5]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=60), st.sampled_from([3.0, 12.0, 300.0]))
def test_the_threshold_is_always_one_of_the_table(probabilities: list[float], asked: float) -> None:
    """Between that of a quarter and that of four times as many false hints."""
    spent = SpentBudget(FalseHintBudget(asked, CURVE))
    for hop, probability in enumerate(probabilities):
        spent.spend(probability)
        spent.hear(hop * HOP, (hop + 1) * HOP)
        assert CURVE.threshold(4 * asked) <= spent.threshold <= CURVE.threshold(asked / 4)


def test_a_new_glossary_goes_on_with_what_was_spent_and_another_dial_does_not() -> None:
    """Its curve is another; who asks for another number begins anew."""
    doubtful = [[0.55, 0.55, 0.55]] * 40
    config = DecisionConfig(CURVE.threshold(60), budget=FalseHintBudget(60, CURVE))
    decider = Decider(ENTRIES, config)
    fed = 0

    def hints_of(hops: list[list[float]]) -> int:
        nonlocal fed
        count = 0
        for some in hops:
            start = fed * HOP
            found = [
                Candidate((7 * fed + n) % len(ENTRIES), 0, start + 100 * n, start + 100 * n + 99, p)
                for n, p in enumerate(some)
            ]
            count += sum(isinstance(event, Hint) for event in decider.feed(start, start + HOP, found))
            fed += 1
        return count

    curve = ThresholdCurve((0.5, 0.9), (70.0, 10.0), (70.0, 10.0))
    decider.configure(DecisionConfig(0.5, budget=FalseHintBudget(60.0, curve)))
    assert hints_of(doubtful) == 0
    decider.configure(DecisionConfig(0.5, budget=FalseHintBudget(70.0, curve)))
    assert hints_of(doubtful[:1]) == 3
    assert hints_of(doubtful) < 20
    decider.configure(DecisionConfig(0.5, budget=FalseHintBudget(70.0, ThresholdCurve((0.5, 0.95), (70.0, 10.0)))))
    assert hints_of(doubtful[:1]) == 0
    decider.configure(DecisionConfig(0.5))
    assert hints_of(doubtful[:1]) == 3


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_no_budget_is_refused(value: float) -> None:
    """With the value and a usable one."""
    with pytest.raises(SettingError, match="give a number above 0"):
        FalseHintBudget(value, CURVE)
