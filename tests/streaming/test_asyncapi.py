"""The description of the protocol is what the dataclasses say, and every message of it comes back as it was sent."""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import asyncapi
from streaming.asyncapi import asyncapi_document, main, rendered
from streaming.protocol import CloseCode, Limits, decode_client, decode_server, encode
from streaming.session import ServedGlossary, Session, open_session
from streaming.sessions.closing import RefusedSession
from streaming.sessions.session_query import settings_of_query
from streaming.testing import tone_glossary
from streaming.wire.client_messages import CLIENT_MESSAGES, ClientMessage
from streaming.wire.messages import SERVER_MESSAGES, Error, ServerMessage, Warning
from streaming.wire.typed_json import JsonObject, JsonValue
from streaming.wire.wire_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES
from streaming.wire.wire_words import CLOSE_CODES, FATAL_ERRORS, PARAMETERS, REJECTIONS, WARNINGS

SERVER_KINDS, CLIENT_KINDS = tuple(SERVER_MESSAGES.values()), tuple(CLIENT_MESSAGES.values())
SCHEMAS: Mapping[str, typing.Any] = typing.cast("Mapping[str, typing.Any]", asyncapi_document()["components"])[
    "schemas"
]
PACKAGE = Path(__file__).parents[2] / "streaming"
PAGE = next(content for path, content in rendered().items() if path.suffix == ".md")

SCALARS: dict[object, st.SearchStrategy[object]] = {
    bool: st.booleans(),
    int: st.integers(-(1 << 53), 1 << 53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    # What UTF-8 can carry: all but halves of surrogate pairs.
    str: st.text(st.characters(exclude_categories=["Cs"])),
}


def _values(annotation: typing.Any) -> st.SearchStrategy[typing.Any]:  # noqa: ANN401
    """Any value of an annotated type."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return st.one_of([_values(option) for option in typing.get_args(annotation)])
    if annotation is types.NoneType:
        return st.none()
    if typing.get_origin(annotation) is tuple:
        elements = typing.get_args(annotation)
        if elements[-1] is Ellipsis:
            return st.lists(_values(elements[0]), max_size=3).map(tuple)
        return st.tuples(*map(_values, elements))
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        made = {field.name: _values(hints[field.name]) for field in dataclasses.fields(annotation)}
        return st.builds(typing.cast("type", annotation), **made)
    return SCALARS[annotation]


SERVER_SAID = st.one_of([_values(kind) for kind in SERVER_KINDS])
CLIENT_SAID = st.one_of([_values(kind) for kind in CLIENT_KINDS])


def test_the_files_are_what_is_generated() -> None:
    """After a change of a message: python -m streaming.asyncapi --write."""
    for path, content in rendered().items():
        assert path.read_text("utf-8") == content, path.name


@given(message=SERVER_SAID)
def test_every_server_message_comes_back(message: ServerMessage) -> None:
    """Any message that the dataclasses allow is decoded to an equal one."""
    assert decode_server(encode(message)) == message


@given(message=CLIENT_SAID)
def test_every_client_message_comes_back(message: ClientMessage) -> None:
    """Any message that the dataclasses allow is decoded to an equal one."""
    assert decode_client(encode(message)) == message


@given(message=SERVER_SAID, more=st.dictionaries(st.text(max_size=9).map("x-{}".format), st.integers() | st.none()))
def test_an_old_client_passes_over_fields_of_a_newer_server(message: ServerMessage, more: dict[str, object]) -> None:
    """Unknown fields, in a message or in any part of it, change nothing."""

    def extended(value: object) -> object:
        if isinstance(value, dict):
            return {name: extended(inner) for name, inner in value.items()} | more
        return [extended(inner) for inner in value] if isinstance(value, list) else value

    assert decode_server(json.dumps(extended(json.loads(encode(message))))) == message


@given(message=SERVER_SAID | CLIENT_SAID)
def test_every_message_fits_its_schema(message: ServerMessage | ClientMessage) -> None:
    """The document describes what is really sent."""
    written = json.loads(encode(message))
    schema = SCHEMAS[type(message).__name__]
    assert _misfits(schema, written) == []


@pytest.mark.parametrize("example", [*SERVER_EXAMPLES, *CLIENT_EXAMPLES], ids=lambda each: type(each).__name__)
def test_a_missing_or_unknown_field_does_not_fit(example: ServerMessage | ClientMessage) -> None:
    """The schemas hold something: each field that must be there is missed, and a client may send no other."""
    schema, written = SCHEMAS[type(example).__name__], json.loads(encode(example))
    for name in schema["required"]:
        assert _misfits(schema, {key: value for key, value in written.items() if key != name})
    assert bool(_misfits(schema, {**written, "unknown": 1})) == isinstance(example, ClientMessage)
    assert _misfits(schema, {**written, "type": "Other"})


def _misfits(schema: Mapping[str, typing.Any], value: JsonValue) -> list[str]:
    """Why a value does not fit a schema, by as much of JSON schema as the document uses."""
    if "$ref" in schema:
        return _misfits(SCHEMAS[schema["$ref"].rpartition("/")[2]], value)
    if "anyOf" in schema:
        options = [_misfits(option, value) for option in schema["anyOf"]]
        return [] if [] in options else [reason for reasons in options for reason in reasons]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{value!r} is not {schema['const']!r}"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": types.NoneType}
    expected = kinds.get(schema["type"], (int, float))
    if not isinstance(value, expected) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{value!r} is no {schema['type']}"]
    if isinstance(value, list):
        return _misfits_of_array(schema, value)
    if isinstance(value, dict):
        return _misfits_of_object(schema, value)
    return []


def _misfits_of_array(schema: Mapping[str, typing.Any], value: list[JsonValue]) -> list[str]:
    items = schema["items"] if isinstance(schema["items"], list) else [schema["items"]] * len(value)
    if len(items) != len(value):
        return [f"{value!r} has not {len(items)} elements"]
    return [reason for item, element in zip(items, value, strict=True) for reason in _misfits(item, element)]


def _misfits_of_object(schema: Mapping[str, typing.Any], value: JsonObject) -> list[str]:
    found = [f"{name} is missing" for name in schema["required"] if name not in value]
    for name, inner in value.items():
        if name in schema["properties"]:
            found += _misfits(schema["properties"][name], inner)
        elif not schema["additionalProperties"]:
            found.append(f"{name} is unknown")
    return found


def test_every_example_of_the_page_decodes() -> None:
    """Each block of JSON is a message of the kind of its heading; no kind is without one."""
    seen = []
    for heading, example in re.findall(r"^### (\w+)\n(?:(?!^###).)*?```json\n(.*?)\n```", PAGE, re.M | re.S):
        message = _decoded(example)
        assert heading == message.TYPE
        seen.append(type(message))
    assert sorted(kind.__name__ for kind in seen) == sorted(kind.__name__ for kind in (*SERVER_KINDS, *CLIENT_KINDS))


def _decoded(text: str) -> ServerMessage | ClientMessage:
    if "seq" not in json.loads(text):
        return decode_client(text)
    message = decode_server(text)
    assert message is not None
    return message


def test_every_field_is_on_the_page() -> None:
    """Names on the wire, also those that Python calls otherwise."""
    for name, schema in SCHEMAS.items():
        for field in schema["properties"]:
            assert field == "type" or f"| `{field}` |" in PAGE, f"{name}.{field}"


def test_every_reference_leads_somewhere() -> None:
    """A tool that reads the document finds all its parts."""
    document = asyncapi_document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place: typing.Any = document
        for step in reference.split("/"):
            place = place[step]


def test_the_parameters_of_the_address_are_those_that_are_read() -> None:
    """The refusal of an unknown one lists those of a session; the description has these, and no other is refused."""
    served = {"tones": tone_glossary()}
    with pytest.raises(RefusedSession, match="there are: ") as refused:
        settings_of_query("glossary=tones&unknown=1", served)
    read = set(str(refused.value).partition("there are: ")[2].split(", "))
    described = {each.name for each in PARAMETERS}
    assert read <= described
    for name in described - read:
        settings_of_query(f"glossary=tones&{name}=1", served)


def test_every_close_code_is_described() -> None:
    """No code is without its meaning."""
    assert set(CLOSE_CODES) == set(CloseCode)


def test_every_fatal_error_is_described() -> None:
    """Each code that the sources close a connection with is on the page, and no other; "key" means the API key alone."""
    sources = [path for folder in (PACKAGE, PACKAGE / "server", PACKAGE / "sessions") for path in folder.glob("*.py")]
    told = re.compile(r'\b(?:refusal|RefusedSession|fail)\(\s*"(\w+)",')
    assert {code for path in sources for code in told.findall(path.read_text())} == set(FATAL_ERRORS)
    keys = {code for code, (closes, _) in FATAL_ERRORS.items() if closes == CloseCode.AUTH}
    assert {code for code in FATAL_ERRORS if "key" in code} == keys - {"wrong_token"}


@pytest.fixture
def session() -> Session:
    """Give a session over the tones, which have two languages."""
    served: Mapping[str, ServedGlossary] = {"tones": tone_glossary(target_langs=("de", "fr"))}
    opened, (_, warning) = open_session("glossary=tones", served, session_id="s_1", limits=Limits())
    assert opened is not None
    assert isinstance(warning, Warning)
    assert warning.code in WARNINGS
    return opened


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", "invalid_message"),
        ('{"type": "Marker"}', "invalid_message"),
        ('{"type": "Dance"}', "unknown_type"),
        ('{"type": "Configure", "threshold": 2}', "invalid_config"),
        ('{"type": "Configure", "glossary": "none"}', "unknown_glossary"),
        ('{"type": "Configure", "glossary": "tones,tones"}', "repeated_glossary"),
        ('{"type": "Configure", "version": "none"}', "unknown_version"),
        ('{"type": "Configure", "sample_rate": 8000}', "new_session_only"),
        ('{"type": "Configure", "model": "large"}', "startup_only"),
        ('{"type": "Feedback", "hint_id": "h99", "verdict": "wrong"}', "unknown_hint"),
    ],
)
def test_every_rejection_is_described(session: Session, text: str, code: str) -> None:
    """What a session refuses without closing has its code on the page."""
    (error,) = session.receive_text(text)
    assert isinstance(error, Error)
    assert (error.code, error.fatal) == (code, False)
    assert code in REJECTIONS


def test_every_warning_of_a_session_is_described(session: Session) -> None:
    """Warnings of the session's own making have their codes on the page."""
    told = [*session.receive_audio(b""), *session.overflowed(1), *session.pace(5.0)]
    codes = {output.code for output in told if isinstance(output, Warning)}
    assert codes == {"empty_frame", "backpressure", "degraded_hop"}
    assert codes <= set(WARNINGS)


def test_the_document_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --write nothing is written, and the document goes to standard output."""
    main([])
    assert json.loads(capsys.readouterr().out) == asyncapi_document()


def test_the_files_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --write both files hold what is generated."""
    for name in ("ASYNCAPI_FILE", "PAGE_FILE"):
        monkeypatch.setattr(asyncapi, name, tmp_path / name)
    main(["--write"])
    assert json.loads((tmp_path / "ASYNCAPI_FILE").read_text("utf-8")) == asyncapi_document()
    assert (tmp_path / "PAGE_FILE").read_text("utf-8") == PAGE
