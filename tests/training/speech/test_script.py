from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import SettingError
from streaming.symbols import words_of
from training.speech.carriers import CARRIERS, PHRASES
from training.speech.effects import Effects
from training.speech.script import KnownTerms, Part, SaidTerm, Script, parts_of
from training.speech.speech_commands import SpeechCommand, SynthesisError

VOICES = tuple(SpeechCommand(name, f"{name} {{text}} {{out}}") for name in "abc")
FILTER = SaidTerm("Kalman filter", ("kalman filter",))
KNOWN = KnownTerms.of([FILTER, SaidTerm("filter", ("filter",)), SaidTerm("SQL", ("s q l", "sequel"))])


def test_marked_terms_are_parts() -> None:
    """Brackets part a sentence; one without is spoken in one piece."""
    assert parts_of("We measured the [limit of detection] in June.") == (
        Part("We measured the"),
        Part("limit of detection", "limit of detection"),
        Part("in June."),
    )
    assert parts_of("[ion]") == (Part("ion", "ion"),)
    assert parts_of("a plain sentence") == (Part("a plain sentence"),)


def test_known_terms_are_found_unmarked() -> None:
    """Every audible term is labelled as the glossary writes it: the longest one, in any case, with any reading."""
    assert parts_of("the kalman-Filter, a filter, in [sequel]", KNOWN) == (
        Part("the"),
        Part("kalman-Filter", "Kalman filter"),
        Part(", a"),
        Part("filter", "filter"),
        Part(", in"),
        Part("sequel", "SQL"),
    )
    assert parts_of("a filtering", KNOWN) == (Part("a filtering"),)


@pytest.mark.parametrize("line", ["in 2030 we stop", "100 %", "[]x", "a [ ] b", "", "?", "naïve"])
def test_what_would_be_read_otherwise_is_refused(line: str) -> None:
    """Digits, signs and empty marks have no known words, so their spans would lie."""
    with pytest.raises(SynthesisError, match="cannot be spoken"):
        parts_of(line)


@given(st.lists(st.sampled_from(["kalman", "filter", "sequel", "s", "q", "l", "the"]), min_size=1, max_size=12))
def test_parts_say_every_word_in_order(words: list[str]) -> None:
    """Parting loses no word, and what is left over holds no term."""
    parts = parts_of(" ".join(words), KNOWN)
    assert [word for part in parts for word in words_of(part.text)] == words
    for part in parts:
        if part.term is None:
            assert all(p.term is None for p in parts_of(part.text, KNOWN))


def test_terms_are_carried() -> None:
    """A term is said inside a carrier; the terms of the carrier itself are labelled too."""
    script = Script((), (FILTER, SaidTerm("Slide", ("slide",))), VOICES, copies=40)
    said = {" ".join(part.text for part in line.parts) for line in script.lines()}
    assert said <= {f"{a} {t} {b}".strip() for t in ("kalman filter", "slide") for a, b in CARRIERS}
    inside = (Part("the next"), Part("slide", "Slide"), Part("is about"), Part("kalman filter", "Kalman filter"))
    assert inside in [line.parts for line in script.lines()]


def test_copies_go_through_voices_and_readings() -> None:
    """Three copies of a line are three voices; readings take turns, the likeliest first; all ids differ."""
    script = Script(("a [b] c",), (SaidTerm("SQL", ("s q l", "sequel")),), VOICES, copies=3)
    lines = list(script.lines())
    assert len(script) == len(lines) == len({line.line_id for line in lines}) == 6
    for term in ("b", "SQL"):
        assert sorted(line.command.voice for line in lines if term in _terms(line.parts)) == ["a", "b", "c"]
    readings = [part.text for line in lines for part in line.parts if part.term == "SQL"]
    assert readings == ["s q l", "sequel", "s q l"]


def _terms(parts: tuple[Part, ...]) -> list[str]:
    return [part.term for part in parts if part.term is not None]


def test_more_copies_keep_the_lines_before() -> None:
    """What is asked for later adds lines and changes none; another seed or effect gives other lines."""
    script = Script(("a [b] c",), (FILTER,), VOICES, no_term_share=0.5)
    ids = {line.line_id for line in script.lines()}
    assert ids < {line.line_id for line in replace(script, copies=2).lines()}
    assert ids < {line.line_id for line in replace(script, terms=(FILTER, SaidTerm("ion", ("ion",)))).lines()}
    assert not ids & {line.line_id for line in replace(script, seed=2).lines()}
    assert not ids & {line.line_id for line in replace(script, effects=Effects(noise_share=0.5)).lines()}


def test_no_term_lines_hold_no_term() -> None:
    """The share is met by sentences without a term and by everyday phrases in parts, none with a term in it."""
    terms = (SaidTerm("open window", ("open window",)), SaidTerm("page", ("page",)), FILTER)
    script = Script(("nothing here", "[ion]"), terms, VOICES, copies=10, no_term_share=0.5)
    lines = list(script.lines())
    empty = [line for line in lines if not _terms(line.parts)]
    assert len(lines) == len(script) == 80
    assert len(empty) == 40
    for line in empty:
        text = " ".join(part.text for part in line.parts)
        assert "open window" not in text
        assert "page" not in text.split()
        assert text == "nothing here" or any(part.text in PHRASES for part in line.parts)


def test_a_glossary_of_everything_leaves_no_phrase() -> None:
    """Where every phrase holds a term there is a sentence that says what to do."""
    terms = tuple(SaidTerm(phrase, (phrase,)) for phrase in PHRASES)
    with pytest.raises(SynthesisError, match="give --sentences without terms"):
        list(Script((), terms, VOICES, no_term_share=0.1).lines())


def test_settings_out_of_range_are_refused() -> None:
    """No voice, no copy, only no-term rows: each is a wrong setting."""
    for wrong in ({"voices": ()}, {"copies": 0}, {"no_term_share": 1.0}):
        with pytest.raises(SettingError):
            Script(**{"sentences": (), "terms": (FILTER,), "voices": VOICES, **wrong})  # type: ignore[arg-type]


def test_twice_the_same_is_said_once() -> None:
    """A term or sentence that is listed twice is one."""
    script = Script(("[ion]", "[ion]"), (FILTER, FILTER), VOICES)
    assert len(list(script.lines())) == len(script) == 2
