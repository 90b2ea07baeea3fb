import dataclasses
import inspect
import json
import types
import typing

import pytest

from streaming.errors import WireError
from streaming.events import Abstention, Alternative, Hint, SpeechEnded, SpeechStarted
from streaming.protocol import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    Abstain,
    ClientMessage,
    CloseStream,
    Configure,
    Error,
    KeepAlive,
    Limits,
    Marker,
    RejectedMessage,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    abstain_message,
    chosen_translation,
    decode_client,
    decode_server,
    encode,
    hint_message,
    speech_message,
)
from streaming.wire import client_messages, messages

HINT = Hint(
    hint_id="h17",
    entry_id="acl2022:000113",
    term="masked language model",
    translations={"zh": "掩码语言模型", "de": "maskiertes Sprachmodell"},
    start_sample=199_680,
    end_sample=217_600,
    emitted_sample=225_280,
    score=0.91,
    raw_similarity=0.832,
    rank=1,
    occurrence=2,
    alternatives=(Alternative("acl2022:000114", "masked LM", {"zh": "掩码语言模型"}, 0.52),),
    glossary_version="v3",
)


def _message_kinds() -> list[type[ServerMessage] | type[ClientMessage]]:
    """Every message class of the module, found by looking, not by its registries."""
    kinds = [kind for room in (messages, client_messages) for _, kind in inspect.getmembers(room, inspect.isclass)]
    return [
        k for k in kinds if issubclass(k, ServerMessage | ClientMessage) and k not in (ServerMessage, ClientMessage)
    ]


def _example(kind: object, *, full: bool) -> object:
    """A value of an annotated type; a record with all its fields, or with those it needs."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return _example(typing.get_args(kind)[0], full=full) if full else None
    if typing.get_origin(kind) is tuple:
        elements = typing.get_args(kind)
        if elements[-1] is Ellipsis:
            return (_example(elements[0], full=full),) * 2
        return tuple(_example(element, full=full) for element in elements)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        wanted = [f for f in dataclasses.fields(kind) if full or f.default is dataclasses.MISSING]
        return kind(**{f.name: _example(hints[f.name], full=full) for f in wanted})
    scalars: dict[object, object] = {bool: True, int: 7, float: 0.25, str: '掩码 "quoted"\n'}
    return scalars[kind]


@pytest.mark.parametrize("full", [True, False], ids=["all fields", "needed fields"])
@pytest.mark.parametrize("kind", _message_kinds(), ids=lambda kind: kind.__name__)
def test_every_message_comes_back_as_it_was_sent(kind: type, full: bool) -> None:
    """Encoding and decoding any message gives an equal one."""
    message = _example(kind, full=full)
    decode = decode_server if issubclass(kind, ServerMessage) else decode_client
    assert isinstance(message, ServerMessage | ClientMessage)
    assert decode(encode(message)) == message


def test_no_message_class_escapes_the_registries() -> None:
    """Every message class of the module can be decoded, under a name of its own."""
    assert {*SERVER_MESSAGES.values(), *CLIENT_MESSAGES.values()} == set(_message_kinds())


def test_a_hint_is_written_as_the_protocol_shows_it() -> None:
    """Seconds, samples, the chosen translation and the latency stand in a hint as protocol.md prints them."""
    written = json.loads(encode(hint_message(HINT, seq=41, target_lang="zh")))
    assert written == {
        "type": "TermHint",
        "seq": 41,
        "hint_id": "h17",
        "rev": 1,
        "is_final": True,
        "term": "masked language model",
        "translation": "掩码语言模型",
        "entry_id": "acl2022:000113",
        "start": 12.48,
        "end": 13.6,
        "start_sample": 199_680,
        "end_sample": 217_600,
        "emitted": 14.08,
        "score": 0.91,
        "raw_similarity": 0.832,
        "rank": 1,
        "occurrence": 2,
        "glossary_version": "v3",
        "alternatives": [{"term": "masked LM", "translation": "掩码语言模型", "score": 0.52}],
        "latency_ms": {"since_term_end": 480},
    }


def test_the_type_stands_first_and_every_script_as_it_is() -> None:
    """A line of JSON starts with its type and does not escape translations."""
    line = encode(hint_message(HINT, seq=0, target_lang="zh"))
    assert line.startswith('{"type": "TermHint", "seq": 0')
    assert "掩码语言模型" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("translations", "target_lang", "chosen"),
    [
        ({"de": "Ion", "es": "ion"}, "es", "ion"),
        ({"de": "Ion"}, None, "Ion"),
        ({"de": "Ion", "es": "ion"}, None, None),
        ({"de": "Ion"}, "es", None),
        ({"": "Ion"}, "es", "Ion"),
        ({}, "es", None),
        ({}, None, None),
    ],
)
def test_a_translation_is_the_chosen_or_the_only_one(
    translations: dict[str, str], target_lang: str | None, chosen: str | None
) -> None:
    """A listener never gets a translation into a language that was not asked for."""
    assert chosen_translation(translations, target_lang) == chosen


def test_a_missing_translation_and_similarity_are_null() -> None:
    """Fields of every hint are there even when they hold nothing."""
    hint = dataclasses.replace(HINT, translations={}, raw_similarity=None)
    written = json.loads(encode(hint_message(hint, seq=0, target_lang=None)))
    assert written["translation"] is None
    assert written["raw_similarity"] is None


def test_an_error_leaves_out_what_does_not_apply() -> None:
    """Optional fields that hold nothing are not on the wire."""
    written = json.loads(encode(Error(seq=0, code="c", close_code=4400, fatal=False, message="m")))
    assert set(written) == {"type", "seq", "code", "close_code", "fatal", "message"}


def test_abstentions_and_speech_bounds_become_messages() -> None:
    """Their samples become seconds."""
    assert abstain_message(Abstention(160, 16_000, "below_threshold", 0.41, 0.86), seq=3) == Abstain(
        seq=3, start=0.01, end=1.0, reason="below_threshold", best_score=0.41, threshold=0.86
    )
    assert speech_message(SpeechStarted(8_000), seq=1) == SpeechStartedMessage(seq=1, timestamp=0.5)
    assert speech_message(SpeechEnded(8_000), seq=2) == SpeechEndedMessage(seq=2, timestamp=0.5)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("", "invalid_message", None),
        ("hello", "invalid_message", None),
        ("[1]", "invalid_message", None),
        ("{}", "invalid_message", "type"),
        ('{"type": 3}', "invalid_message", "type"),
        ("[" * 100_000, "invalid_message", None),
        ('{"type": "Marker", "id": "\\ud800"}', "invalid_message", None),
        ('{"type": "Configure", "threshold": NaN}', "invalid_message", None),
        ('{"type": "Configure", "threshold": 1e999}', "invalid_config", "threshold"),
        ('{"type": "Configure", "threshold": 1' + "0" * 400 + "}", "invalid_config", "threshold"),
        ('{"type": "Listen"}', "unknown_type", None),
        ('{"type": "Metadata"}', "unknown_type", None),
        ('{"type": "KeepAlive", "loud": true}', "invalid_message", "loud"),
        ('{"type": "Marker"}', "invalid_message", "id"),
        ('{"type": "Marker", "id": 3}', "invalid_message", "id"),
        ('{"type": "Configure", "threshold": true}', "invalid_config", "threshold"),
        ('{"type": "Configure", "threshold": "high"}', "invalid_config", "threshold"),
        ('{"type": "Configure", "max_hints_per_window": 2.5}', "invalid_config", "max_hints_per_window"),
        ('{"type": "Configure", "volume": 11}', "invalid_config", "volume"),
        ('{"type": "Configure", "mute_entries": "all"}', "invalid_config", "mute_entries"),
        ('{"type": "Configure", "sample_rate": 8000}', "new_session_only", "sample_rate"),
        ('{"type": "Configure", "device": "cuda"}', "startup_only", "device"),
    ],
)
def test_a_broken_client_message_is_a_typed_error(text: str, code: str, field: str | None) -> None:
    """What a client sends wrong is named: the kind of mistake and the field."""
    with pytest.raises(RejectedMessage) as rejected:
        decode_client(text)
    assert (rejected.value.code, rejected.value.field) == (code, field)
    assert len(str(rejected.value)) < 400


def test_an_error_names_its_request() -> None:
    """A rejected `Configure` can be matched with its request."""
    with pytest.raises(RejectedMessage, match="new-session-only") as rejected:
        decode_client('{"type": "Configure", "request_id": "c1", "channels": 2}')
    assert rejected.value.request_id == "c1"


def test_client_messages_are_read() -> None:
    """Messages as protocol.md prints them are understood."""
    assert decode_client('{"type":"KeepAlive"}') == KeepAlive()
    assert decode_client('{"type":"Marker","id":"m3"}') == Marker(id="m3")
    assert decode_client('{"type":"CloseStream"}') == CloseStream()
    text = '{"type":"Configure","request_id":"c1","profile":"mt","threshold":1,"max_hints_per_window":10}'
    assert decode_client(text) == Configure(request_id="c1", profile="mt", threshold=1.0, max_hints_per_window=10)


def test_a_newer_server_is_understood() -> None:
    """Unknown fields of a server, at any depth, and unknown types are passed over."""
    begin = (
        '{"type":"Begin","seq":0,"protocol":1,"session_id":"s_8f2c","resume_token":"r_1a9e","expires_in_s":14400,'
        '"glossary":{"id":"acl2022","version":"v","terms":238,"owner":"x"},"profile":"booth","threshold":0.86,'
        '"audio":{"encoding":"linear16","sample_rate":16000,"channels":1},'
        '"limits":{"max_frame_bytes":1048576,"max_realtime_factor":1.5,"idle_timeout_s":30}}'
    )
    message = decode_server(begin)
    assert isinstance(message, messages.Begin)
    assert message.limits == Limits(max_frame_bytes=1_048_576, idle_timeout_s=30, max_realtime_factor=1.5)
    assert message.resume_token == "r_1a9e"
    assert decode_server('{"type":"Weather","seq":61,"lag_s":0.2}') is None


@pytest.mark.parametrize(
    "text",
    [
        "HTTP",
        '{"type": "Begin"}',
        '{"type": "Metadata", "seq": "0"}',
        '{"type": "TermHint", "seq": 0, "alternatives": {}}',
        '{"type": "Configured", "seq": 0, "effective": 3}',
        '{"type": "TermMap", "seq": 0, "start": 0, "end": 1, "terms": [["ion", "Ion"]]}',
        '{"type": "TermMap", "seq": 0, "start": 0, "end": 1, "terms": [["ion", "Ion", "high"]]}',
        '{"type": "Abstain", "seq": 0, "start": 0, "end": 1, "reason": null, "best_score": 0}',
    ],
)
def test_a_broken_server_message_is_an_error(text: str) -> None:
    """A server that breaks the protocol is not taken for one that said nothing."""
    with pytest.raises(WireError, match="breaks protocol 1"):
        decode_server(text)


def test_only_records_are_encoded() -> None:
    """A class in place of a message is a mistake of the programmer."""
    with pytest.raises(TypeError):
        encode(typing.cast(ServerMessage, KeepAlive))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"type":"Marker","id":"' + "x" * 300 + '"}', "id"),
        ('{"type":"Configure","request_id":"' + "x" * 300 + '"}', "request_id"),
        ('{"type":"Configure","' + "y" * 5000 + '":1}', "y" * 256),
    ],
)
def test_what_an_answer_repeats_is_short(text: str, field: str) -> None:
    """Answers are kept for clients that come back, so a client cannot make them large."""
    with pytest.raises(RejectedMessage) as caught:
        decode_client(text)
    assert caught.value.field == field
    assert caught.value.request_id is None
    assert len(str(caught.value)) < 1000
