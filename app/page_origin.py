"""Origins of web pages as settings name them, checked to be what browsers send."""

import re
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlsplit

import click
from click.types import StringParamType

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What browsers send of a page that is a file on the listener's own disk.
_OF_FILES = "null"
# Octets of a part of a name (RFC 1035, section 2.3.4).
_LONGEST_LABEL = 63
_HOST = re.compile(r"[\w.:-]+", re.ASCII)


class PageOrigin(StringParamType):
    """Scheme, host and port of a web page. Origins are compared letter by letter, so any other form lets nobody in."""

    name = "origin"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Text that is an origin -> itself; anything else is a usage error, with the origin that was meant."""
        # There are two ways to write such a host in ASCII, and the wrong one may be somebody else's.
        if isinstance(value, str) and not value.isascii():
            self.fail(f"{value!r}: browsers send hosts in ASCII; give the form that begins with xn--.", param, ctx)
        sent = _as_sent(value) if isinstance(value, str) else None
        if sent is None:
            self.fail(f"{value!r} is no origin of a web page; give one such as https://example.org.", param, ctx)
        if sent != value:
            self.fail(f"{value!r} is not what browsers call the origin of a page; give {sent}.", param, ctx)
        return sent


def _as_sent(text: str) -> str | None:
    """The origin that a browser sends of a page at this address; None where it is none."""
    if text == _OF_FILES:
        return text
    try:
        parts = urlsplit(text if "://" in text else f"{_usual_scheme(text)}://{text}")
        port, host = parts.port, parts.hostname or ""
        host = str(IPv6Address(host)) if ":" in host else host
    except ValueError:
        return None
    if not _HOST.fullmatch(host) or max(map(len, host.split("."))) > _LONGEST_LABEL:
        return None
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"


def _usual_scheme(address: str) -> str:
    """Only pages of the machine itself come without TLS as a rule."""
    return "http" if re.match(r"localhost\b|127\.|\[::1\]", address, re.IGNORECASE) else "https"
