"""A new version of the glossary in the middle of a stream: nothing that is said is lost, nothing is told twice."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.entries import Entry
from streaming.protocol import (
    Configured,
    Error,
    GlossaryUpdated,
    Limits,
    ServerMessage,
    TermHint,
    encode,
)
from streaming.session import Output, ServedGlossary, Session, open_session
from streaming.sessions.catalogue import Catalogue
from streaming.testing import TONES, ToneIndex, synthetic_pcm, tone_glossary, tone_index

ENTRIES = tone_index().entries
TALK = synthetic_pcm([(0, 500), (TONES[0], 300), (0, 900), (TONES[1], 220), (0, 300), (TONES[0], 260), (0, 1_030)] * 2)
HOP_BYTES = 2 * 5_120


def _glossary(version: str, entries: tuple[Entry, ...] = ENTRIES) -> ServedGlossary:
    return tone_glossary(ToneIndex(entries, version))


def _session(catalogue: Mapping[str, ServedGlossary], query: str = "glossary=tones&target_lang=de") -> Session:
    session, _ = open_session(query, catalogue, session_id="s", limits=Limits())
    assert session is not None
    return session


def _hints(outputs: list[Output]) -> list[TermHint]:
    return [output for output in outputs if isinstance(output, TermHint)]


def _updates(outputs: list[Output]) -> list[GlossaryUpdated]:
    return [output for output in outputs if isinstance(output, GlossaryUpdated)]


def _only(outputs: list[Output], kind: type[ServerMessage]) -> ServerMessage:
    (found,) = [output for output in outputs if isinstance(output, kind)]
    return found


@given(swaps=st.sets(st.integers(0, 60)), chunk=st.integers(200, 9_000))
def test_swaps_lose_no_hint_and_double_none(swaps: set[int], chunk: int) -> None:
    """Versions swapped before any frames of any length give the hints of a stream without swaps, each citing its own."""
    catalogue = Catalogue({"tones": _glossary("v0")})
    still, moved = _session({"tones": _glossary("v0")}), _session(catalogue)
    expected, heard, seqs = [], [], []
    for number, start in enumerate(range(0, len(TALK), chunk)):
        if number in swaps:
            catalogue.replace("tones", _glossary(f"v{number}"))
        expected += still.receive_audio(TALK[start : start + chunk])
        outputs = moved.receive_audio(TALK[start : start + chunk])
        seqs += [output.seq for output in outputs if isinstance(output, ServerMessage)]
        heard += outputs
    assert seqs == list(range(1, len(seqs) + 1))
    version, plain = "v0", []
    for output in heard:
        if isinstance(output, GlossaryUpdated):
            assert (output.from_version, output.added, output.removed, output.changed) == (version, 0, 0, 0)
            version = output.to_version
        elif isinstance(output, TermHint):
            assert output.glossary_version == version
            plain.append(replace(output, seq=0, glossary_version="v0"))
    assert plain == [replace(hint, seq=0) for hint in _hints(expected)]
    assert len(plain) == 6


def test_update_is_told_at_the_hop_where_it_acts() -> None:
    """Counts and versions, in the fields that the protocol names; what is still being said is heard with the new entries."""
    catalogue = Catalogue({"tones": _glossary("v1", ENTRIES[1:])})
    session = _session(catalogue)
    session.receive_audio(TALK[: 2 * HOP_BYTES + 100])
    changed = (ENTRIES[0], replace(ENTRIES[1], note="new"), ENTRIES[2])
    catalogue.replace("tones", _glossary("v2", changed))
    (update,) = _updates(session.receive_text('{"type":"KeepAlive"}'))
    assert json.loads(encode(update)) == {
        "type": "GlossaryUpdated",
        "seq": update.seq,
        "from": "v1",
        "to": "v2",
        "effective_at": 0.64,
        "added": 1,
        "removed": 1,
        "changed": 1,
    }
    assert _updates(session.receive_audio(TALK[2 * HOP_BYTES + 100 :])) == []


def test_version_that_a_client_asks_for_stays() -> None:
    """With a version in the address a session does not follow, until it asks for the latest."""
    catalogue = Catalogue({"tones": _glossary("v1")})
    pinned = _session(catalogue, "glossary=tones&target_lang=de&version=v1")
    catalogue.replace("tones", _glossary("v2"))
    assert {hint.glossary_version for hint in _hints(pinned.receive_audio(TALK))} == {"v1"}
    outputs = pinned.receive_text('{"type":"Configure","version":"v1"}')
    assert [type(output) for output in outputs] == [Configured]
    outputs = pinned.receive_text('{"type":"Configure","version":"latest"}')
    assert [type(output) for output in outputs] == [Configured, GlossaryUpdated]
    assert {hint.glossary_version for hint in _hints(pinned.receive_audio(TALK))} == {"v2"}


def test_glossary_is_configured_in_an_open_session() -> None:
    """Configure answers with what is effective, tells the update, and the next hints are of the other glossary."""
    other = tuple(replace(entry, entry_id=f"other:{n}", term=f"other {n}") for n, entry in enumerate(ENTRIES))
    catalogue = Catalogue({"tones": _glossary("v1"), "other": _glossary("o1", other)})
    session = _session(catalogue)
    configured, update = session.receive_text(
        '{"type":"Configure","request_id":"c","glossary":"other","threshold":0.4,"mute_entries":["other:1"]}'
    )
    assert isinstance(configured, Configured)
    effective = configured.effective
    assert (effective.glossary, effective.version, effective.threshold) == ("other", "o1", 0.4)
    assert effective.mute_entries == ("other:1",)
    assert isinstance(update, GlossaryUpdated)
    assert (update.from_version, update.to_version, update.added, update.removed) == ("v1", "o1", 4, 4)
    assert {hint.term for hint in _hints(session.receive_audio(TALK))} == {"other 0"}


def test_mutes_are_replaced_and_survive_a_new_version() -> None:
    """The list given is the whole list; a new version keeps it; an empty one unmutes all."""
    catalogue = Catalogue({"tones": _glossary("v1")})
    session = _session(catalogue)
    session.receive_text('{"type":"Configure","mute_entries":["tones:500"]}')
    catalogue.replace("tones", _glossary("v2"))
    assert {hint.entry_id for hint in _hints(session.receive_audio(TALK))} == {"tones:900"}
    session.receive_text('{"type":"Configure","mute_entries":[]}')
    assert {hint.entry_id for hint in _hints(session.receive_audio(TALK))} == {"tones:500", "tones:900"}


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ('"glossary":"lrec"', "unknown_glossary", "glossary"),
        ('"glossary":"tones,lrec"', "unknown_glossary", "glossary"),
        ('"version":"v9"', "unknown_version", "version"),
        ('"glossary":"fin"', "invalid_config", "glossary"),
        ('"glossary":"spanish"', "invalid_config", "glossary"),
        ('"mute_entries":["tones:500","tones:1"]', "invalid_config", "mute_entries"),
        ('"glossary":"other","threshold":2', "invalid_config", "threshold"),
        ('"model":"big"', "startup_only", "model"),
        ('"sample_rate":8000', "new_session_only", "sample_rate"),
    ],
)
def test_configure_that_is_wrong_in_part_moves_nothing(fields: str, code: str, field: str) -> None:
    """The error names the field, and the session listens on for what it listened for."""
    catalogue = {
        "tones": _glossary("v1"),
        "other": _glossary("o1"),
        "fin": replace(_glossary("f1"), source_lang="fi"),
        "spanish": replace(_glossary("s1"), target_langs=("es",)),
    }
    session = _session(catalogue)
    error = _only(
        session.receive_text(
            f'{{"type":"Configure","mute_entries":[],{fields}}}'.replace('"mute_entries":[],"mute', '"mute')
        ),
        Error,
    )
    assert isinstance(error, Error)
    assert (error.code, error.field, error.fatal) == (code, field, False)
    assert {hint.glossary_version for hint in _hints(session.receive_audio(TALK))} == {"v1"}


def test_glossary_that_is_gone_is_listened_to_on() -> None:
    """Whatever becomes of the catalogue, an open session keeps its index."""
    served = {"tones": _glossary("v1")}
    session = _session(served)
    served.clear()
    assert len(_hints(session.receive_audio(TALK))) == 6


def test_thresholds_follow_the_size_of_the_new_version() -> None:
    """A profile means so many false hints an hour, so its threshold is that of the new version; a given number stays."""
    catalogue = Catalogue({"tones": _glossary("v1")})
    free, fixed = _session(catalogue), _session(catalogue)
    fixed.receive_text('{"type":"Configure","threshold":0.5}')
    strict = _glossary("v2")
    catalogue.replace(
        "tones", replace(strict, profiles={n: replace(d, threshold=1.0) for n, d in strict.profiles.items()})
    )
    assert len(_hints(free.receive_audio(TALK))) == 0
    assert len(_hints(fixed.receive_audio(TALK))) == 6
