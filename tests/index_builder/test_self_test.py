"""What is said in a self-test, and what becomes of it."""

import dataclasses
import json

import numpy as np
import pytest

from index_builder.self_test import (
    EntryResult,
    Said,
    SelfTest,
    Utterance,
    expected_false_hints,
    hinted_unsaid,
    judge,
    plan,
    seconds_of,
)
from streaming.entries import Form, make_form
from streaming.events import Hint

CARRIERS = (("we see", "here"), ("", "again"))


def _hint(entry_id: str, start: int, end: int) -> Hint:
    return Hint("h", entry_id, entry_id, {}, start, end, end, 0.9, None, 1, 1)


def _forms(*texts: tuple[int, str, str]) -> list[Form]:
    return [make_form(entry, text, [], kind, text) for entry, text, kind in texts]


def test_forms_carriers_and_voices_take_turns() -> None:
    """Each entry is said `tries` times, its own forms one after the other, letters in capitals, inflections never."""
    forms = _forms((0, "s g d", "spelled"), (0, "gradient", "alias"), (0, "gradients", "plural"), (1, "kernel", "term"))
    utterances = plan(forms, 2, most=5, tries=3, carriers=CARRIERS, voices=2)
    assert [(each.entry_index, each.text, each.voice) for each in utterances] == [
        (0, "we see S G D here", 0),
        (0, "gradient again", 1),
        (0, "we see S G D here", 0),
        (1, "kernel again", 1),
        (1, "we see kernel here", 0),
        (1, "kernel again", 1),
    ]


@pytest.mark.parametrize(("entries", "most"), [(1, 1), (3, 5), (10, 4), (1000, 7), (9, 1)])
def test_entries_are_spread_over_the_glossary(entries: int, most: int) -> None:
    """As many different ones as allowed, first and last among them."""
    forms = _forms(*((i, "word", "term") for i in range(entries)))
    said = [each.entry_index for each in plan(forms, entries, most=most, tries=1, carriers=CARRIERS, voices=1)]
    assert len(said) == len(set(said)) == min(most, entries)
    assert said == sorted(said)
    assert said[0] == 0
    assert most == 1 or said[-1] == entries - 1


def test_hints_are_heard_missed_mistaken_or_false() -> None:
    """A hint counts for the utterance in which its middle lies."""
    said = [
        Said(Utterance(0, "a", 0), 0, 100),
        Said(Utterance(0, "a", 0), 100, 200),
        Said(Utterance(1, "b", 0), 200, 300),
        Said(Utterance(1, "b", 0), 300, 400),
    ]
    hints = [_hint("x", 20, 60), _hint("y", 110, 150), _hint("y", 190, 260), _hint("z", 240, 280), _hint("x", 40, 70)]
    results, false_hints = judge(said, hints, ["x", "y", "z"], np.array([1.0, 2.0, 3.0]))
    assert results == (
        EntryResult("x", 2, 1, ("y",), 0, 1.0),
        EntryResult("y", 2, 1, (), 1, 2.0),
    )
    assert false_hints == 2
    assert hinted_unsaid(said, hints, ["x", "y", "z"]) == {"z": 1}


def test_estimate_shares_the_false_hints_of_the_profile() -> None:
    """The sum is the profile's; a form that background speech fits well gets more, a second form adds to its entry."""
    forms = _forms((0, "ion", "term"), (1, "stochastic gradient", "term"), (2, "ion", "term"), (2, "iron", "alias"))
    likely, unlikely = [-2.6, -1.8, -2.6, -1.8], [-6.0, -5.0, -6.0, -5.0]
    background = np.array([likely, unlikely, likely, likely], np.float32)
    expected = expected_false_hints(forms, background, 3, 12.0)
    assert expected.sum() == pytest.approx(12.0)
    assert expected[2] > expected[0] > 5 * expected[1] > 0


def test_estimate_is_the_tail_of_a_normal_distribution() -> None:
    """Written out for two entries: the share that reaches -2.5 with the mean and 97th percentile given."""
    forms = _forms((0, "a b", "term"), (1, "c d", "term"))
    background = np.array([[-3.0, -2.5, -3.0, -2.5], [-4.0, -2.5, -4.0, -2.5]], np.float32)
    # Both reach -2.5 just at their 97th percentile.
    assert expected_false_hints(forms, background, 2, 1.0) == pytest.approx([0.5, 0.5], abs=1e-3)


def _outcome() -> SelfTest:
    rows = (EntryResult("x", 3, 2, ("y",), 0, 0.5), EntryResult("y", 1, 0, (), 4, 0.25))
    return SelfTest("booth", 9, 12.5, ("espeak-a", "espeak-b"), 5, 12.0, rows, {"z": 7})


def test_outcome_sums_up() -> None:
    """Recall is the share of all utterances."""
    assert (_outcome().tries, _outcome().recall) == (4, 0.5)
    assert dataclasses.replace(_outcome(), entries=()).recall == 0.0
    assert list(_outcome().wrongly_hinted.items()) == [("z", 7), ("y", 4)]
    assert seconds_of([]) == 0.0
    assert seconds_of([Said(Utterance(0, "a", 0), 0, 8_000)]) == 0.5


def test_outcome_survives_json() -> None:
    """It is kept in the report of an index."""
    assert SelfTest.from_dict(json.loads(json.dumps(_outcome().as_dict()))) == _outcome()
