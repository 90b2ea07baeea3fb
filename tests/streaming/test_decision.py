from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.errors import SettingError
from streaming.events import Abstention, Hint
from streaming.testing import tone_index

HOP = 5_120
SECOND = 16_000
ENTRIES = tone_index().entries
A, B, C, D = range(4)


def decider(**settings: float) -> Decider:
    """A decider over the entries of the tones, threshold 0.5 unless told."""
    return Decider(ENTRIES, DecisionConfig(**{"threshold": 0.5, **settings}))  # type: ignore[arg-type]


def candidate(entry: int, start: float, end: float, probability: float) -> Candidate:
    """A candidate with its span in seconds."""
    return Candidate(entry, entry, int(start * SECOND), int(end * SECOND), probability, raw_similarity=0.7)


def hints_of(events: list[Hint | Abstention]) -> list[Hint]:
    """The hints among `events`."""
    return [event for event in events if isinstance(event, Hint)]


def reason_of(events: list[Hint | Abstention]) -> str:
    """Why the hop abstained; it must have, and once."""
    assert len(events) == 1
    assert isinstance(events[0], Abstention)
    return events[0].reason


def test_hint_says_everything_of_its_entry_and_its_candidate() -> None:
    """A hint carries entry, translations, span, score, similarity and the clock of its hop."""
    events = decider().feed(HOP, 2 * HOP, [candidate(B, 0.25, 0.5, 0.9)])
    assert events == [
        Hint(
            hint_id="h1",
            entry_id=ENTRIES[B].entry_id,
            term=ENTRIES[B].term,
            translations=ENTRIES[B].translations,
            start_sample=4_000,
            end_sample=8_000,
            emitted_sample=2 * HOP,
            score=0.9,
            raw_similarity=0.7,
            rank=1,
            occurrence=1,
        )
    ]


def test_no_candidate_is_an_abstention() -> None:
    """A hop without candidates says so, with a score of zero."""
    assert decider().feed(0, HOP, []) == [Abstention(0, HOP, "no_candidate", 0.0)]


def test_low_scores_are_an_abstention_that_names_the_best() -> None:
    """Below the threshold nothing is emitted and the best score is told; the threshold itself is enough."""
    low = [candidate(A, 0, 0.3, 0.2), candidate(B, 0, 0.3, 0.49)]
    assert decider().feed(0, HOP, low) == [Abstention(0, HOP, "below_threshold", 0.49, 0.5)]
    assert len(hints_of(decider().feed(0, HOP, [candidate(A, 0, 0.3, 0.5)]))) == 1


def test_one_occurrence_is_one_hint() -> None:
    """A span that overlaps the entry's hint, or starts within its refractory time, is that occurrence still."""
    decisions = decider(refractory_ms=800)
    decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.8)])
    assert reason_of(decisions.feed(HOP, 2 * HOP, [candidate(A, 1.2, 1.7, 0.99)])) == "refractory"
    assert reason_of(decisions.feed(HOP, 2 * HOP, [candidate(A, 2.2, 2.6, 0.99)])) == "refractory"


def test_word_said_again_is_a_new_occurrence() -> None:
    """After the refractory time the entry is hinted again, with its count."""
    decisions = decider(refractory_ms=800)
    first = hints_of(decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.8)]))
    again = hints_of(decisions.feed(HOP, 2 * HOP, [candidate(A, 2.3, 2.6, 0.6)]))
    other = hints_of(decisions.feed(2 * HOP, 3 * HOP, [candidate(B, 3.3, 3.6, 0.6)]))
    found = [(hint.hint_id, hint.occurrence) for hint in first + again + other]
    assert found == [("h1", 1), ("h2", 2), ("h3", 1)]


def test_stale_span_before_the_last_hint_is_no_new_occurrence() -> None:
    """A span that lies before the entry's last hint is stale."""
    decisions = decider()
    decisions.feed(0, HOP, [candidate(A, 3.0, 3.5, 0.8)])
    assert reason_of(decisions.feed(HOP, 2 * HOP, [candidate(A, 1.0, 1.4, 0.99)])) == "refractory"


def test_of_rivals_on_one_stretch_the_best_wins() -> None:
    """Spans that overlap by more than half are rivals: the best is the hint, the others are its alternatives."""
    rivals = [candidate(A, 1.0, 1.5, 0.7), candidate(B, 1.0, 1.5, 0.9), candidate(C, 1.05, 1.5, 0.3)]
    [hint] = hints_of(decider().feed(0, HOP, rivals))
    assert hint.term == ENTRIES[B].term
    assert [(other.entry_id, other.score) for other in hint.alternatives] == [
        (ENTRIES[A].entry_id, 0.7),
        (ENTRIES[C].entry_id, 0.3),
    ]


def test_alternatives_are_few_likely_and_one_per_entry() -> None:
    """An entry is listed once, at its best; what is hardly likely is not listed."""
    rivals = [
        candidate(A, 1.0, 1.5, 0.9),
        candidate(B, 1.0, 1.5, 0.2),
        candidate(B, 1.01, 1.5, 0.4),
        candidate(C, 1.0, 1.5, 0.01),
        candidate(D, 2.0, 2.5, 0.3),
    ]
    [hint] = hints_of(decider().feed(0, HOP, rivals))
    assert [(other.entry_id, other.score) for other in hint.alternatives] == [(ENTRIES[B].entry_id, 0.4)]


def test_terms_side_by_side_are_both_hinted() -> None:
    """Spans that share half or less are two terms, ranked by probability."""
    both = [candidate(A, 1.0, 1.5, 0.7), candidate(B, 1.0, 2.0, 0.9)]
    hints = hints_of(decider().feed(0, HOP, both))
    assert [(hint.term, hint.rank) for hint in hints] == [(ENTRIES[B].term, 1), (ENTRIES[A].term, 2)]
    assert all(not hint.alternatives for hint in hints)


def test_later_rival_must_be_better_than_the_hint_was() -> None:
    """A near homophone found a hop later is suppressed unless it is more probable than the hint was."""
    decisions = decider()
    decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.7)])
    assert reason_of(decisions.feed(HOP, 2 * HOP, [candidate(B, 1.0, 1.6, 0.7)])) == "refractory"
    [hint] = hints_of(decisions.feed(HOP, 2 * HOP, [candidate(B, 1.0, 1.6, 0.71)]))
    assert hint.term == ENTRIES[B].term


def test_hinted_entry_that_still_sounds_best_keeps_its_rivals_silent() -> None:
    """A repeat that beats a rival in the same hop explains the stretch, even where the hint once had less."""
    decisions = decider()
    decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.6)])
    both = [candidate(A, 1.0, 1.6, 0.9), candidate(B, 1.0, 1.6, 0.8)]
    assert reason_of(decisions.feed(HOP, 2 * HOP, both)) == "refractory"


def test_at_most_so_many_hints_per_hop() -> None:
    """The most probable ones are emitted, the others wait for their next occurrence."""
    apart = [candidate(entry, entry, entry + 0.5, 0.6 + entry / 10) for entry in (A, B, C)]
    hints = hints_of(decider(max_hints_per_hop=2).feed(0, HOP, apart))
    assert [hint.term for hint in hints] == [ENTRIES[C].term, ENTRIES[B].term]
    assert reason_of(decider(max_hints_per_hop=0).feed(0, HOP, apart)) == "limit"


def test_order_of_candidates_decides_nothing() -> None:
    """Candidates in any order give the same hints, ties included."""
    tied = [candidate(A, 1.0, 1.5, 0.9), candidate(B, 1.0, 1.5, 0.9), candidate(C, 3.0, 3.5, 0.9)]
    assert decider().feed(0, HOP, tied) == decider().feed(0, HOP, tied[::-1])


def test_configure_takes_effect_at_the_next_hop_and_forgets_nothing() -> None:
    """A new threshold decides from the next hop on; hints already emitted still count."""
    decisions = decider()
    low = [candidate(B, 1.0, 1.5, 0.4)]
    decisions.feed(0, HOP, [candidate(A, 2.0, 2.5, 0.9)])
    assert reason_of(decisions.feed(HOP, 2 * HOP, low)) == "below_threshold"
    decisions.configure(DecisionConfig(threshold=0.3))
    [hint] = hints_of(decisions.feed(2 * HOP, 3 * HOP, [*low, candidate(A, 2.0, 2.5, 0.9)]))
    assert (hint.term, hint.hint_id) == (ENTRIES[B].term, "h2")


def test_reset_starts_a_new_stream() -> None:
    """After reset the same candidate is hint h1, occurrence 1 again."""
    decisions = decider()
    first = decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.9)])
    decisions.reset()
    assert decisions.feed(0, HOP, [candidate(A, 1.0, 1.5, 0.9)]) == first


def test_hints_are_forgotten_after_a_while() -> None:
    """A day of hints leaves no more behind than half a minute of them."""
    decisions = decider(refractory_ms=0)
    sizes = []
    for hop in range(2_000):
        start = hop * HOP / SECOND
        [hint] = hints_of(decisions.feed(hop * HOP, (hop + 1) * HOP, [candidate(A, start, start + 0.3, 0.9)]))
        sizes.append(len(decisions._explained))
    assert hint.occurrence == 2_000
    assert max(sizes) == sizes[-1] < 100


REFRACTORY = DecisionConfig(threshold=0.5).refractory_ms * SECOND // 1000


@given(
    hops=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(-8, 0), st.integers(1, 8), st.integers(0, 100)), max_size=6),
        max_size=12,
    ),
    limit=st.integers(0, 3),
)
def test_rules_hold_for_any_candidates(hops: list[list[tuple[int, int, int, int]]], limit: int) -> None:
    """Whatever is fed: hints or exactly one abstention per hop, limits kept, no entry twice within its refractory time."""
    decisions = decider(max_hints_per_hop=limit)
    emitted: list[Hint] = []
    for number, hop in enumerate(hops):
        end = number + 1.0
        found = [candidate(e, end + s / 10, end + (s + n) / 10, p / 100) for e, s, n, p in hop]
        events = decisions.feed(number * SECOND, (number + 1) * SECOND, found)
        hints = hints_of(events)
        assert len(hints) <= limit
        assert len(events) == max(len(hints), 1)
        assert [hint.rank for hint in hints] == list(range(1, len(hints) + 1))
        assert [hint.score for hint in hints] == sorted((hint.score for hint in hints), reverse=True)
        assert all(other.score <= hint.score for hint in hints for other in hint.alternatives)
        for hint in hints:
            earlier = [other for other in emitted if other.entry_id == hint.entry_id]
            assert hint.score >= 0.5
            assert hint.occurrence == len(earlier) + 1
            assert all(hint.start_sample >= other.end_sample + REFRACTORY for other in earlier)
            emitted.append(hint)
    assert [hint.hint_id for hint in emitted] == [f"h{k + 1}" for k in range(len(emitted))]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", -0.1),
        ("threshold", 1.1),
        ("threshold", float("nan")),
        ("refractory_ms", -1),
        ("refractory_ms", 60_001),
        ("max_hints_per_hop", -1),
        ("max_hints_per_hop", 1_001),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    """A value out of its range is refused by name."""
    settings: dict[str, Any] = {name: value}
    with pytest.raises(SettingError, match=f"{name} = {value}"):
        replace(DecisionConfig(threshold=0.5), **settings)
