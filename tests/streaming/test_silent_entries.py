"""Entries that are heard and not shown, and entries of another version of the glossary, in the decision stage."""

from collections.abc import Sequence
from dataclasses import replace

from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.entries import Entry
from streaming.events import Abstention, Hint

HOP = 5_120
SECOND = 16_000
PLAGUE, CALAMITY, PLAYING = (Entry(f"g:{i}", term, {}) for i, term in enumerate(("plague", "calamity", "playing")))
ENTRIES = (PLAGUE, CALAMITY, PLAYING)
LOOSE = DecisionConfig(threshold=0.5)


def _candidate(entry: int, start: float, end: float, probability: float) -> Candidate:
    return Candidate(entry, entry, int(start * SECOND), int(end * SECOND), probability)


def _told(events: Sequence[Hint | Abstention]) -> list[str]:
    """The terms hinted, or the reason of the abstention."""
    return [event.term if isinstance(event, Hint) else event.reason for event in events]


def _hops(decider: Decider, *hops: Sequence[Candidate]) -> list[list[str]]:
    return [_told(decider.feed(n * HOP, (n + 1) * HOP, candidates)) for n, candidates in enumerate(hops)]


def test_entry_that_must_not_be_hinted_keeps_its_rivals_silent() -> None:
    """It is heard, so that a weaker rival is not taken for it, in this hop and in the next; the reason is told."""
    decider = Decider((replace(PLAGUE, do_not_hint=True), CALAMITY, PLAYING), LOOSE)
    both = [_candidate(0, 1.0, 1.5, 0.9), _candidate(2, 1.0, 1.5, 0.8)]
    later = [_candidate(2, 1.0, 1.5, 0.85)]
    assert _hops(decider, both, later, [_candidate(1, 2.0, 2.5, 0.9)]) == [
        ["do_not_hint"],
        ["refractory"],
        ["calamity"],
    ]


def test_entry_that_must_not_be_hinted_yields_to_a_better_one() -> None:
    """What explains the stretch better is hinted."""
    decider = Decider((replace(PLAGUE, do_not_hint=True), CALAMITY, PLAYING), LOOSE)
    assert _hops(decider, [_candidate(0, 1.0, 1.5, 0.8), _candidate(2, 1.0, 1.5, 0.9)]) == [["playing"]]


def test_muted_entry_is_not_hinted_until_it_is_said_again_unmuted() -> None:
    """A mute acts from the next hop on; what was said under it is not hinted late."""
    decider = Decider(ENTRIES, replace(LOOSE, mute_entries=frozenset({"g:0"})))
    assert _hops(decider, [_candidate(0, 1.0, 1.5, 0.9)]) == [["muted"]]
    decider.configure(LOOSE)
    assert _hops(decider, [_candidate(0, 1.1, 1.6, 0.9)], [_candidate(0, 3.0, 3.5, 0.9)]) == [
        ["refractory"],
        ["plague"],
    ]


def test_silent_entries_are_no_alternatives_and_take_no_place() -> None:
    """An entry that is not shown is not shown as a rival either, and does not count as one of the hop's hints."""
    decider = Decider(ENTRIES, replace(LOOSE, mute_entries=frozenset({"g:2"}), max_hints_per_hop=1))
    [hint] = decider.feed(
        0, HOP, [_candidate(2, 3.0, 3.5, 0.95), _candidate(0, 1.0, 1.5, 0.9), _candidate(2, 1.0, 1.5, 0.8)]
    )
    assert isinstance(hint, Hint)
    assert (hint.term, hint.rank, hint.alternatives) == ("plague", 1, ())


def test_minimum_of_an_entry_beats_the_threshold() -> None:
    """Below its own minimum an entry gives no hint, whatever the threshold; the minimum itself is enough."""
    decider = Decider((replace(PLAGUE, minimum_probability=0.9), CALAMITY, PLAYING), LOOSE)
    hops = [[_candidate(0, 1.0, 1.5, 0.89)], [_candidate(0, 1.0, 1.5, 0.4)], [_candidate(0, 1.0, 1.5, 0.9)]]
    assert _hops(decider, *hops) == [["below_minimum"], ["below_threshold"], ["plague"]]


def test_hints_are_remembered_across_versions_by_entry_id() -> None:
    """In a new version, where the entries have other numbers, an occurrence is hinted once and counted on."""
    decider = Decider(ENTRIES, LOOSE, lambda _: "v1")
    first = decider.feed(0, HOP, [_candidate(0, 1.0, 1.5, 0.9)])
    decider.replace_entries((CALAMITY, PLAGUE), lambda _: "v2")
    assert _hops(decider, [_candidate(1, 1.1, 1.6, 0.9)]) == [["refractory"]]
    # The entry that has the old number now is another one.
    other = decider.feed(HOP, 2 * HOP, [_candidate(0, 1.7, 2.2, 0.9)])
    again = decider.feed(HOP, 2 * HOP, [_candidate(1, 3.0, 3.5, 0.9)])
    hints = [event for event in (*first, *other, *again) if isinstance(event, Hint)]
    assert [(h.term, h.hint_id, h.occurrence, h.glossary_version) for h in hints] == [
        ("plague", "h1", 1, "v1"),
        ("calamity", "h2", 1, "v2"),
        ("plague", "h3", 2, "v2"),
    ]
