"""The page that describes the wire protocol to a reader."""

from collections.abc import Iterable, Mapping, Sequence

from streaming.protocol import encode
from streaming.wire.client_messages import CLIENT_MESSAGES, ClientMessage
from streaming.wire.messages import HINTS_PATH, PROTOCOL_VERSION, SERVER_MESSAGES, ServerMessage
from streaming.wire.wire_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES
from streaming.wire.wire_schema import description_of, parts_of, type_words, wire_fields
from streaming.wire.wire_words import CLOSE_CODES, FATAL_ERRORS, PARAMETERS, REJECTIONS, WARNINGS

_INTRODUCTION = f"""\
# The wire protocol, version {PROTOCOL_VERSION}

Written by `python -m streaming.asyncapi --write` from the dataclasses in `messages.py`; do not edit. For tools there is
the same as an AsyncAPI 3 document: `asyncapi.json`, which a server also gives at `/v1/asyncapi.json`.

Connect a websocket to `{HINTS_PATH}`. Audio goes up as binary frames, s16le, 20 to 100 ms each, of any length and cut
anywhere. Text frames are JSON objects, in both directions, told from each other by `type`.

- Times are seconds of the audio clock since the start of the stream, beside integer samples at 16 kHz. Silence may be
  sent or left out: the clock counts what was received, and never drifts.
- The server speaks first: `Begin`, or a fatal `Error`. `seq` rises by one with each of its messages.
- An `Error` precedes every abnormal close and says what to do. One that is not fatal refuses a text frame; the stream
  goes on as before.
- A client passes over fields and types that it does not know. A server refuses them, so that nothing is ignored.
- A hint with `is_final` is never revised. One without may come again under its `hint_id` with a higher `rev`, or be
  withdrawn; such hints come only to clients that ask for them (`interim_hints=true`).
- `CloseStream` ends the stream: the last hints, `Metadata`, close 1000. `Finalize` decides on what was heard so far and
  answers with a marker called `finalize`; the stream goes on.
- To resume after a broken connection: connect with `resume` and `last_seq`, and the API key as before. What was missed
  comes first, then a `Begin` with `resumed`, which takes no number; send again from PCM frame `audio_received_frames`
  on. An old connection that still lives is closed with 4409.
- A server that cannot keep up decides less often, then leaves windows out, counts them and says so (`Lag`).

API keys go into the header `Authorization: Bearer KEY`, or the subprotocols `token, KEY`, or, from a browser, a
short-lived `token` in the address.
"""


def protocol_page() -> str:
    """The page in Markdown."""
    server, client = list(SERVER_MESSAGES.values()), list(CLIENT_MESSAGES.values())
    sections = [
        _INTRODUCTION,
        "## Parameters of the address\n",
        _table(("Parameter", "Meaning"), [(f"`{each.name}`", each.meaning) for each in PARAMETERS]),
        "An unknown parameter, or one that is given twice, is refused.\n",
        "## What a server says\n",
        *(_message(kind, SERVER_EXAMPLES) for kind in server),
        "## What a client says\n",
        *(_message(kind, CLIENT_EXAMPLES) for kind in client),
        "## Parts of messages\n",
        *(f"### {part.__name__}\n\n{description_of(part)}\n\n{_fields(part)}" for part in parts_of([*server, *client])),
        "## Close codes\n",
        _table(("Code", "Meaning"), [(f"{code.value}", meaning) for code, meaning in CLOSE_CODES.items()]),
        "## Codes of fatal errors\n",
        _table(
            ("Code", "Closes with", "Meaning"),
            [(f"`{code}`", f"{closes.value}", meaning) for code, (closes, meaning) in FATAL_ERRORS.items()],
        ),
        "## Codes of errors that are not fatal\n",
        _codes(REJECTIONS),
        "## Codes of warnings\n",
        _codes(WARNINGS),
    ]
    return "\n".join(sections)


def _message(kind: type[ServerMessage] | type[ClientMessage], examples: Iterable[ServerMessage | ClientMessage]) -> str:
    shown = "\n".join(encode(example) for example in examples if type(example) is kind)
    return f"### {kind.TYPE}\n\n{description_of(kind)}\n\n{_fields(kind)}\n```json\n{shown}\n```\n"


def _fields(kind: type) -> str:
    rows = [
        (
            f"`{field.name}`",
            type_words(field.annotation),
            "always" if field.is_required else _default_words(field.default),
        )
        for field in wire_fields(kind)
    ]
    return _table(("Field", "Type", "There"), rows) if rows else "No fields.\n"


def _default_words(default: object) -> str:
    return (
        "optional"
        if default is None
        else f"optional: {default:g}"
        if isinstance(default, float)
        else f"optional: {default}"
    )


def _codes(meanings: Mapping[str, str]) -> str:
    return _table(("Code", "Meaning"), [(f"`{code}`", meaning) for code, meaning in meanings.items()])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
