"""Messages of several sessions as those of one stream."""

from dataclasses import replace

import pytest

from streaming.client.continuity import Continuity
from streaming.protocol import (
    Abstain,
    AudioPart,
    Begin,
    GlossaryPart,
    GlossaryUpdated,
    HintRetracted,
    Lag,
    LatencyPart,
    MarkerReached,
    Metadata,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    TermMap,
    Warning,
)

BEGIN = Begin(
    seq=0,
    protocol=1,
    session_id="s",
    glossary=GlossaryPart(id="g", version="v", terms=1),
    profile="booth",
    threshold=0.5,
    audio=AudioPart(encoding="linear16", sample_rate=16_000, channels=1),
)


def _hint(
    seq: int, start: float, *, entry: str = "g:1", hint_id: str = "h1", final: bool = True, nth: int = 1
) -> TermHint:
    return TermHint(
        seq=seq,
        hint_id=hint_id,
        rev=1,
        is_final=final,
        term=entry,
        translation=None,
        entry_id=entry,
        start=start,
        end=start + 0.5,
        start_sample=round(start * 16_000),
        end_sample=round((start + 0.5) * 16_000),
        emitted=start + 1,
        score=0.9,
        raw_similarity=None,
        rank=1,
        occurrence=nth,
        glossary_version="v",
        alternatives=(),
        latency_ms=LatencyPart(since_term_end=500),
    )


def _second_session(*before: ServerMessage, offset_s: int = 6, anew_until_s: float = 9.4) -> Continuity:
    continuity = Continuity()
    for message in before:
        continuity.take(message)
    continuity.begin_session(offset_s, anew_until_s)
    return continuity


def test_one_session_is_passed_on_as_it_is() -> None:
    """Where nothing breaks nothing is changed."""
    continuity = Continuity()
    said = [BEGIN, SpeechStartedMessage(seq=1, timestamp=0.5), _hint(2, 0.5), SpeechEndedMessage(seq=5, timestamp=1.5)]
    assert [continuity.take(message) for message in said] == said
    assert continuity.last_seq == 5


def test_what_was_replayed_but_had_come_is_dropped() -> None:
    """A server may send again what arrived just before the connection broke; the greeting of a resume is news."""
    continuity = Continuity()
    for message in (BEGIN, _hint(1, 0.5)):
        continuity.take(message)
    assert continuity.take(_hint(1, 0.5)) is None
    resumed = replace(BEGIN, seq=1, resumed=True, audio_received_s=2.0)
    assert continuity.take(resumed) == resumed


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            replace(BEGIN, resumed=True, audio_received_s=2.5),
            replace(BEGIN, seq=1, resumed=True, audio_received_s=8.5),
        ),
        (
            MarkerReached(seq=1, id="m", audio_processed_s=4.0),
            MarkerReached(seq=2, id="m", audio_processed_s=10.0),
        ),
        (
            GlossaryUpdated(seq=1, from_version="a", to_version="b", effective_at=4.1, added=1, removed=0, changed=0),
            GlossaryUpdated(seq=2, from_version="a", to_version="b", effective_at=10.1, added=1, removed=0, changed=0),
        ),
        (
            Lag(seq=1, audio_received_s=5.2, audio_processed_s=4.0, lag_s=1.2, dropped_windows=0, state="degraded"),
            Lag(seq=2, audio_received_s=11.2, audio_processed_s=10.0, lag_s=1.2, dropped_windows=0, state="degraded"),
        ),
        (
            Abstain(seq=1, start=4.0, end=4.32, reason="below_threshold", best_score=0.1),
            Abstain(seq=2, start=10.0, end=10.32, reason="below_threshold", best_score=0.1),
        ),
        (SpeechStartedMessage(seq=1, timestamp=4.3), SpeechStartedMessage(seq=2, timestamp=10.3)),
        (Warning(seq=1, code="c", message="m"), Warning(seq=2, code="c", message="m")),
        (
            Metadata(seq=1, session_id="s", duration=7.0, hints=5, abstained_windows=2, from_close=True),
            Metadata(seq=2, session_id="s", duration=13.0, hints=0, abstained_windows=2, from_close=True),
        ),
    ],
)
def test_a_session_that_begins_later_speaks_in_the_time_of_the_stream(said: ServerMessage, told: ServerMessage) -> None:
    """Clocks and numbers of the second session go on from the first, exactly."""
    assert _second_session(BEGIN).take(said) == told


def test_a_hint_of_another_session_has_its_own_name_and_counts_on() -> None:
    """Names are unique over the stream, and lead back to the server's own only in its session."""
    continuity = _second_session(BEGIN, _hint(1, 2.0))
    hint = continuity.take(_hint(3, 5.0, hint_id="h1"))
    assert isinstance(hint, TermHint)
    assert (hint.hint_id, hint.occurrence, hint.start, hint.start_sample) == ("h1.1", 2, 11.0, 176_000)
    assert continuity.server_hint_id("h1.1") == "h1"
    assert continuity.server_hint_id("h1") is None


@pytest.mark.parametrize(
    ("start", "entry", "is_repeat"),
    [(2.0, "g:1", True), (1.25, "g:1", True), (2.75, "g:1", True), (2.85, "g:1", False), (2.0, "g:2", False)],
)
def test_a_hint_that_was_given_is_not_given_again(start: float, entry: str, is_repeat: bool) -> None:
    """The same entry where spans overlap or lie less than 0.3 s apart is the same hint, with all its revisions."""
    continuity = _second_session(BEGIN, _hint(1, 8.0))
    assert (continuity.take(_hint(1, start, entry=entry)) is None) == is_repeat
    assert (continuity.take(replace(_hint(2, start, entry=entry), rev=2)) is None) == is_repeat
    assert (continuity.take(HintRetracted(seq=3, hint_id="h1", reason="superseded")) is None) == is_repeat
    # The next time that it is said is the second, whatever the server counts.
    later = continuity.take(_hint(4, 6.0, hint_id="h2", nth=2 if entry == "g:1" else 1))
    assert isinstance(later, TermHint)
    assert later.occurrence == (2 if entry == "g:2" or is_repeat else 3)


def test_the_same_term_twice_in_one_session_is_two_hints() -> None:
    """Only another session can repeat a hint."""
    continuity = Continuity()
    for message in (BEGIN, _hint(1, 1.0)):
        continuity.take(message)
    assert continuity.take(_hint(2, 1.6, hint_id="h2", nth=2)) == _hint(2, 1.6, hint_id="h2", nth=2)


def test_an_unconfirmed_hint_is_withdrawn_with_its_session() -> None:
    """A session that is gone can no longer confirm; the next one says it again if it is so."""
    continuity = Continuity()
    for message in (BEGIN, _hint(1, 8.0, final=False), _hint(2, 3.0, entry="g:2", hint_id="h2", final=False)):
        continuity.take(message)
    continuity.take(replace(_hint(3, 3.0, entry="g:2", hint_id="h2"), rev=2))
    assert continuity.begin_session(6, 9.4) == [HintRetracted(seq=4, hint_id="h1", reason="session_lost")]
    again = continuity.take(_hint(1, 2.0))
    assert isinstance(again, TermHint)
    assert again.seq == 6


def test_what_was_abstained_from_is_not_told_again() -> None:
    """Windows that the session before had decided are not decided twice."""
    continuity = _second_session(BEGIN)
    assert continuity.take(Abstain(seq=1, start=3.0, end=3.4, reason="below_threshold", best_score=0.1)) is None
    assert continuity.take(Abstain(seq=2, start=3.1, end=3.5, reason="below_threshold", best_score=0.1)) is not None


def test_speech_starts_and_ends_in_turn() -> None:
    """A session that begins within speech tells neither a second start nor ends that were told."""
    before = (
        BEGIN,
        SpeechStartedMessage(seq=1, timestamp=1.0),
        SpeechEndedMessage(seq=2, timestamp=8.0),
        SpeechStartedMessage(seq=3, timestamp=9.0),
    )
    continuity = _second_session(*before)
    said: list[ServerMessage] = [
        SpeechStartedMessage(seq=0, timestamp=0.0),
        SpeechEndedMessage(seq=1, timestamp=2.0),
        SpeechStartedMessage(seq=2, timestamp=3.0),
        SpeechEndedMessage(seq=3, timestamp=5.0),
        SpeechStartedMessage(seq=4, timestamp=6.0),
    ]
    told = [continuity.take(message) for message in said]
    assert told[:3] == [None] * 3
    assert told[3:] == [SpeechEndedMessage(seq=7, timestamp=11.0), SpeechStartedMessage(seq=8, timestamp=12.0)]


def test_a_term_map_tells_a_chunk_once() -> None:
    """Chunks that were told are dropped; one that reaches further tells only what is new."""
    rows = (("tree", "Baum", 0.9), ("root", "Wurzel", 0.8))
    continuity = _second_session(BEGIN, TermMap(seq=1, start=7.68, end=8.64, terms=rows[:1]))
    assert continuity.take(TermMap(seq=1, start=0.96, end=1.92, terms=rows)) is None
    assert continuity.take(TermMap(seq=2, start=1.92, end=2.88, terms=rows)) == TermMap(
        seq=4, start=7.92, end=8.88, terms=rows[1:]
    )
    assert continuity.take(TermMap(seq=3, start=2.88, end=3.84, terms=rows)) == TermMap(
        seq=5, start=8.88, end=9.84, terms=rows
    )
