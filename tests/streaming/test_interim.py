from dataclasses import replace

from streaming.decision import Candidate, Decider
from streaming.decision_config import DecisionConfig
from streaming.events import Abstention, Hint, HintWithdrawn, WithdrawalReason
from streaming.interim import InterimHints
from streaming.testing import tone_index

HOP = 5120


def _hint(entry: str = "g:1", hint_id: str = "", start: int = 0, end: int = 4000, *, is_final: bool = False) -> Hint:
    return Hint(hint_id, entry, "ion", {}, start, end, HOP, 0.9, None, 1, 1, is_final=is_final)


SILENCE = Abstention(0, HOP, "no_candidate", 0.0)


def test_a_confirmed_hint_keeps_its_id_and_gets_a_revision() -> None:
    """Interim i1 in one hop, final i1 in the next, with what was decided then."""
    interim = InterimHints()
    first = interim.feed([SILENCE], [_hint()])
    assert first == [SILENCE, _hint(hint_id="i1")]
    final = _hint(hint_id="h1", end=4200, is_final=True)
    assert interim.feed([final], []) == [replace(final, hint_id="i1", rev=2)]


def test_a_hint_that_is_not_confirmed_is_withdrawn() -> None:
    """Once, and with the reason: nothing was said there, or another entry."""
    cases: list[tuple[Hint | Abstention, WithdrawalReason]] = [
        (SILENCE, "not_confirmed"),
        (_hint("g:2", "h1", is_final=True), "superseded"),
    ]
    for decision, reason in cases:
        interim = InterimHints()
        interim.feed([SILENCE], [_hint()])
        assert interim.feed([decision], []) == [decision, HintWithdrawn("i1", reason)]
        assert interim.feed([SILENCE], []) == [SILENCE]


def test_an_interim_hint_is_told_once() -> None:
    """While it stays uncertain nothing new is said of it; another one gets another id."""
    interim = InterimHints()
    interim.feed([SILENCE], [_hint()])
    assert interim.feed([SILENCE], [_hint(end=4100)]) == [SILENCE]
    assert interim.feed([SILENCE], [_hint(), _hint("g:2")])[1:] == [_hint("g:2", "i2")]


def test_a_final_hint_that_was_never_shown_stays_as_it_is() -> None:
    """Its id and revision are those of the decision."""
    hint = _hint(hint_id="h4", is_final=True)
    assert InterimHints().feed([hint], []) == [hint]


def test_foresight_leaves_no_trace_in_what_is_decided() -> None:
    """A decider that was asked what tentative candidates would be decides as one that was not."""
    config = DecisionConfig(threshold=0.5)
    asked, other = Decider(tone_index().entries, config), Decider(tone_index().entries, config)
    hops = [
        [Candidate(0, 0, 0, 4000, 0.9)],
        [Candidate(0, 0, 100, 4000, 0.95), Candidate(1, 1, 6000, 9000, 0.4)],
        [Candidate(1, 1, 6000, 9000, 0.8), Candidate(2, 2, 6000, 9000, 0.6)],
    ]
    for number, candidates in enumerate(hops):
        start, end = number * HOP, (number + 1) * HOP
        asked.foresee(end, [replace(c, probability=0.99, is_tentative=True) for c in candidates])
        assert asked.feed(start, end, candidates) == other.feed(start, end, candidates)


def test_foresight_shows_what_is_new_only() -> None:
    """Not what was hinted already, not what is below the threshold; without id, not final, at its next occurrence."""
    decider = Decider(tone_index().entries, DecisionConfig(threshold=0.5))
    decider.feed(0, HOP, [Candidate(0, 0, 0, 4000, 0.9)])
    tentative = [
        Candidate(0, 0, 0, 4100, 0.9, is_tentative=True),
        Candidate(1, 1, 5000, 9000, 0.4, is_tentative=True),
        Candidate(0, 0, 60_000, 64_000, 0.8, is_tentative=True),
    ]
    (hint,) = decider.foresee(2 * HOP, tentative)
    assert (hint.hint_id, hint.is_final, hint.occurrence, hint.start_sample) == ("", False, 2, 60_000)
