"""What a listener sees: JSON lines for programs, rows for people."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from app.render import HintTable, JsonLines
from streaming.protocol import (
    Abstain,
    AudioPart,
    Begin,
    GlossaryPart,
    GlossaryUpdated,
    HintRetracted,
    LatencyPart,
    Metadata,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    Warning,
    encode,
)

BEGIN = Begin(
    seq=0,
    protocol=1,
    session_id="s_1",
    glossary=GlossaryPart(id="talks", version="v1", terms=3),
    profile="booth",
    threshold=0.5,
    audio=AudioPart(encoding="linear16", sample_rate=16_000, channels=1),
)
METADATA = Metadata(seq=9, session_id="s_1", duration=3.0, hints=1, abstained_windows=2, from_close=True)


def _hint(term: str, start: float = 3661.26) -> TermHint:
    return TermHint(
        seq=1,
        hint_id="h1",
        rev=1,
        is_final=True,
        term=term,
        translation="掩码语言模型",
        entry_id="talks:1",
        start=start,
        end=start + 1,
        start_sample=round(start * 16_000),
        end_sample=round((start + 1) * 16_000),
        emitted=start + 1.5,
        score=0.914,
        raw_similarity=None,
        rank=1,
        occurrence=1,
        glossary_version="v1",
        alternatives=(),
        latency_ms=LatencyPart(since_term_end=500),
    )


def _table() -> tuple[HintTable, io.StringIO, list[str]]:
    written, notes = io.StringIO(), list[str]()
    return HintTable(notes.append, Console(file=written, width=80, highlight=False)), written, notes


def test_json_lines_are_the_wire_messages() -> None:
    """Each message is one line, the same text that goes over the wire."""
    written = io.StringIO()
    with JsonLines(written) as sink:
        for message in (BEGIN, _hint("masked"), METADATA):
            sink.show(message)
            sink.heard(1.0)
    lines = written.getvalue().splitlines()
    assert lines == [encode(message) for message in (BEGIN, _hint("masked"), METADATA)]
    assert [json.loads(line)["type"] for line in lines] == ["Begin", "TermHint", "Metadata"]


def test_table_has_one_row_per_hint() -> None:
    """A row holds time, term, translation and probability; the rest is told as notes."""
    table, written, notes = _table()
    with table:
        for message in (BEGIN, _hint("masked language model"), METADATA):
            table.show(message)
            table.heard(2.0)
    header, row = written.getvalue().splitlines()
    assert header.split() == ["time", "term", "translation", "probability"]
    assert row.split() == ["1:01:01.3", "masked", "language", "model", "掩码语言模型", "0.91"]
    assert notes == ["listening for 3 terms of talks (booth, threshold 0.50)", "1 hint in 3.0 s of audio"]


def test_brackets_in_a_term_are_not_markup() -> None:
    """A term is data: it is shown as it is written."""
    table, written, _ = _table()
    table.show(_hint("[bold]list[0][/bold]", 0.0))
    assert "[bold]list[0][/bold]" in written.getvalue()


def test_long_terms_are_folded_not_cut() -> None:
    """Nothing of a term is lost for want of width."""
    table, written, _ = _table()
    table.show(_hint("x" * 120, 0.0))
    assert written.getvalue().count("x") == 120


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00.0"), (59.96, "1:00.0"), (125.34, "2:05.3"), (3600.0, "1:00:00.0")]
)
def test_times_are_minutes_and_tenths(seconds: float, shown: str) -> None:
    """Seconds of the audio clock are shown as a clock, hours only where there are some."""
    table, written, _ = _table()
    table.show(_hint("term", seconds))
    assert written.getvalue().splitlines()[1].split()[0] == shown


def test_header_comes_with_the_first_row() -> None:
    """A stream without a hint prints nothing on standard output."""
    table, written, _ = _table()
    with table:
        table.show(BEGIN)
        table.show(METADATA)
    assert written.getvalue() == ""


def test_other_events_are_lines_of_the_table() -> None:
    """Abstentions and the bounds of speech, where they were asked for, are shown without --json too."""
    table, written, _ = _table()
    table.show(SpeechStartedMessage(seq=1, timestamp=0.5))
    table.show(Abstain(seq=2, start=0.64, end=0.96, reason="below_threshold", best_score=0.31, threshold=0.9))
    table.show(SpeechEndedMessage(seq=3, timestamp=1.5))
    assert [line.split() for line in written.getvalue().splitlines()[1:]] == [
        ["0:00.5", "(speech", "started)"],
        ["0:00.6", "(below_threshold)", "threshold", "0.90", "0.31"],
        ["0:01.5", "(speech", "ended)"],
    ]


def test_key_of_the_address_is_told_as_an_option() -> None:
    """A server's warning names the option of the command, not the key of its address."""
    table, _, notes = _table()
    table.show(Warning(seq=1, code="no_target_lang", message="add target_lang=de (there are: de, zh)"))
    assert notes == ["warning: add --target-lang de (there are: de, zh)"]


@pytest.mark.parametrize(
    ("glossary", "old", "new", "said"),
    [
        ("talks", "v1", "v2", "talks version v2"),
        ("mine,talks", "m1,v1", "m1,v2", "talks version v2"),
        ("mine,talks", "m1,v1", "m2,v2", "mine version m2, talks version v2"),
        ("mine,talks", "v1", "v2", "version v2"),
    ],
)
def test_new_version_is_told_with_its_layer(glossary: str, old: str, new: str, said: str) -> None:
    """Of several layers only those that changed are named."""
    table, _, notes = _table()
    table.show(replace(BEGIN, glossary=GlossaryPart(id=glossary, version=old, terms=3)))
    table.show(
        GlossaryUpdated(seq=1, from_version=old, to_version=new, effective_at=3.2, added=1, removed=0, changed=2)
    )
    assert notes[1] == f"from 0:03.2 on listening for {said}: 1 added, 0 removed, 2 changed"


def test_warning_is_told_beside_the_rows() -> None:
    """A warning never mixes with results."""
    table, written, notes = _table()
    table.show(Warning(seq=1, code="dropped", message="3 frames lost"))
    assert written.getvalue() == ""
    assert notes == ["warning: 3 frames lost"]


def test_terminal_shows_the_clock_and_leaves_only_rows() -> None:
    """On a terminal a last line follows the audio clock; it is gone in the end."""
    written, notes = io.StringIO(), list[str]()
    console = Console(file=written, width=80, force_terminal=True, highlight=False)
    with HintTable(notes.append, console) as table:
        table.show(BEGIN)
        table.heard(61.0)
        table.show(_hint("term", 60.0))
    assert "heard 1:01.0, 0 hints" in written.getvalue()
    assert "term" in written.getvalue()


def test_an_interim_hint_is_shown_once_and_counted_never() -> None:
    """A hint that may be withdrawn is a row with a question mark; its revisions add none, its confirmation does."""
    table, written, _ = _table()
    interim = replace(_hint("language model"), is_final=False)
    for message in (interim, replace(interim, rev=2), replace(interim, rev=3, is_final=True)):
        table.show(message)
    rows = written.getvalue().splitlines()[1:]
    assert [row.split()[-1] for row in rows] == ["?", "0.91"]


def test_a_withdrawn_hint_is_shown_as_withdrawn() -> None:
    """Whoever read it learns that it was nothing; one that was never shown is not spoken of."""
    table, written, _ = _table()
    interim = replace(_hint("language model"), is_final=False)
    for message in (
        interim,
        HintRetracted(seq=9, hint_id=interim.hint_id, reason="not_confirmed"),
        HintRetracted(seq=10, hint_id="i99", reason="superseded"),
    ):
        table.show(message)
    rows = written.getvalue().splitlines()[1:]
    assert [("language model" in row, "(withdrawn)" in row) for row in rows] == [(True, False), (True, True)]


def test_a_session_that_is_taken_up_is_not_introduced_again() -> None:
    """The greeting after a broken connection says nothing new."""
    table, _, notes = _table()
    table.show(BEGIN)
    table.show(replace(BEGIN, resumed=True))
    assert len(notes) == 1
