"""The description of the wire protocol, made from its dataclasses: an AsyncAPI 3 document and a page to read.

python -m streaming.asyncapi           print the document
python -m streaming.asyncapi --write   write asyncapi.json and PROTOCOL.md beside this module
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from streaming.protocol import encode
from streaming.wire.client_messages import CLIENT_MESSAGES, ClientMessage
from streaming.wire.messages import HINTS_PATH, PROTOCOL_VERSION, SERVER_MESSAGES, ServerMessage
from streaming.wire.protocol_page import protocol_page
from streaming.wire.typed_json import JsonObject, JsonValue
from streaming.wire.wire_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES
from streaming.wire.wire_schema import description_of, parts_of, schema_of
from streaming.wire.wire_words import CLOSE_CODES, PARAMETERS

ASYNCAPI_FILE = Path(__file__).with_name("asyncapi.json")
PAGE_FILE = Path(__file__).with_name("PROTOCOL.md")
_AUDIO = "Audio"
_AUDIO_TEXT = (
    "A binary frame: s16le PCM of any length, cut anywhere; 20 to 100 ms are best. Read at the sample rate and channels"
    " of the address, resampled to 16 kHz. An empty frame is no end of the stream."
)


def asyncapi_document() -> JsonObject:
    """The AsyncAPI 3 document, from the point of view of the server."""
    kinds: list[type] = [*SERVER_MESSAGES.values(), *CLIENT_MESSAGES.values()]
    names = [_AUDIO, *(kind.__name__ for kind in kinds)]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "TermCue hints",
            "version": f"{PROTOCOL_VERSION}.0.0",
            "description": (
                "Live speech goes up as binary frames; the glossary terms that are being spoken come down as JSON, "
                "one message a text frame. A message is told from the others by its type. New fields and types may "
                "be added: clients pass over what they do not know."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {"host": "127.0.0.1:8765", "protocol": "ws", "description": "termcue serve, as it starts."}
        },
        "channels": {"hints": _channel(names)},
        "operations": {
            "hear": _operation("receive", "What a client sends.", [_AUDIO, *(k.__name__ for k in _client_kinds())]),
            "tell": _operation("send", "What a server says.", [k.__name__ for k in _server_kinds()]),
        },
        "components": {
            "messages": {
                _AUDIO: {
                    "name": _AUDIO,
                    "contentType": "application/octet-stream",
                    "description": _AUDIO_TEXT,
                    "payload": {"type": "string", "format": "binary"},
                },
                **{kind.__name__: _message(kind) for kind in (*_server_kinds(), *_client_kinds())},
            },
            "schemas": {kind.__name__: schema_of(kind) for kind in (*kinds, *parts_of(kinds))},
        },
    }


def _server_kinds() -> Sequence[type[ServerMessage]]:
    return list(SERVER_MESSAGES.values())


def _client_kinds() -> Sequence[type[ClientMessage]]:
    return list(CLIENT_MESSAGES.values())


def _channel(names: Sequence[str]) -> JsonObject:
    return {
        "address": HINTS_PATH,
        "description": "\n".join(f"{code.value}: {meaning}" for code, meaning in CLOSE_CODES.items()),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {
                    "type": "object",
                    "properties": {each.name: {**each.schema, "description": each.meaning} for each in PARAMETERS},
                    "additionalProperties": False,
                },
                "bindingVersion": "0.1.0",
            }
        },
    }


def _operation(action: str, summary: str, names: Sequence[str]) -> JsonObject:
    messages: list[JsonValue] = [{"$ref": f"#/channels/hints/messages/{name}"} for name in names]
    return {"action": action, "channel": {"$ref": "#/channels/hints"}, "summary": summary, "messages": messages}


def _message(kind: type[ServerMessage] | type[ClientMessage]) -> JsonObject:
    examples: list[JsonValue] = [
        {"payload": json.loads(encode(example))}
        for example in (*SERVER_EXAMPLES, *CLIENT_EXAMPLES)
        if type(example) is kind
    ]
    return {
        "name": kind.TYPE,
        "description": description_of(kind),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "examples": examples,
    }


def rendered() -> dict[Path, str]:
    """The files that describe the protocol, and what they must hold."""
    document = json.dumps(asyncapi_document(), ensure_ascii=False, indent=1)
    return {ASYNCAPI_FILE: f"{document}\n", PAGE_FILE: protocol_page()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the document, or write both files."""
    parser = argparse.ArgumentParser(prog="python -m streaming.asyncapi", description="Describe the wire protocol.")
    parser.add_argument("--write", action="store_true", help="write asyncapi.json and PROTOCOL.md beside the module")
    if not parser.parse_args(arguments).write:
        sys.stdout.write(rendered()[ASYNCAPI_FILE])
        return
    for path, content in rendered().items():
        path.write_text(content, "utf-8")


if __name__ == "__main__":
    main()
