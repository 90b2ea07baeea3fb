"""The address that asks a server for a stream."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from streaming.client.options import StreamOptions
from streaming.errors import WireError
from streaming.protocol import HINTS_PATH


def hints_address(url: str, options: StreamOptions) -> str:
    """The address to connect to: `url`, with the protocol's path where it has none, asking for what `options` say.

    Raises:
        WireError: `url` is no websocket address.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Where in it a password ends can only be told of an address that is sound.
        said = "what was given" if "@" in url else repr(shown_address(url))
        raise WireError(f"{said} is no websocket address: give ws://HOST:PORT{HINTS_PATH}")
    term_map = options.term_map_ms
    asked: dict[str, str | None] = {
        **dict(parse_qsl(parts.query)),
        "glossary": options.glossary,
        "source_lang": options.source_lang,
        "target_lang": options.target_lang,
        "encoding": options.format.encoding,
        "sample_rate": str(options.format.sample_rate),
        "channels": str(options.format.channels),
        "profile": options.profile,
        "interim_hints": "true" if options.interim_hints else None,
        "vad_events": "true" if options.vad_events else "false",
        "abstain_events": "true" if options.abstain_events else "false",
        "format": None if term_map is None else "term_map",
        "chunk_ms": None if term_map is None else str(term_map),
    }
    query = urlencode({key: value for key, value in asked.items() if value is not None})
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or HINTS_PATH, query, ""))


def shown_address(url: str) -> str:
    """A sound address as messages name it: without user, password and query, for a token may stand in the query."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"(?<=://)[^/]*@", "", bare)


def resume_address(address: str, token: str, last_seq: int) -> str:
    """The address that takes up the session of `token`, whose messages up to `last_seq` have come (-1: none)."""
    return f"{address}&{urlencode({'resume': token, 'last_seq': last_seq})}"
