"""A live server elsewhere that the page is to take: its address, its key, and whether it answers the page."""

import re
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from streaming.errors import SettingError
from streaming.protocol import HINTS_PATH
from streaming.server.access import is_loopback

_ANSWER_WITHIN_S = 10
_HTTP_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# Nothing else may get into the page's policy, which names the server.
_AUTHORITY = re.compile(r"([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)


def server_address(given: str) -> str:
    """Where the HTTP side of a server is, by any address under which it is told: http, https, ws or wss.

    Raises:
        SettingError: it is no address of a server.
    """
    parts = urlsplit(given)
    scheme = _HTTP_SCHEMES.get(parts.scheme)
    is_bare = parts.path.rstrip("/") in ("", HINTS_PATH) and not parts.query and not parts.fragment
    if scheme is None or not is_bare or not _AUTHORITY.fullmatch(parts.netloc):
        raise SettingError(f"{given!r} is no address of a server; give one such as http://127.0.0.1:8765.")
    return f"{scheme}://{parts.netloc}"


def asks_for_key(server: str) -> bool:
    """Whether a running server asks for a key. Raises SettingError where nothing answers there."""
    status = _status(server, {})
    if status not in (200, 401):
        raise SettingError(f"{server} answers {status}: give the address of a termcue serve.")
    return status == 401


def knows_page(server: str, page: str) -> bool:
    """Whether a running server answers scripts of a page of that origin. Raises SettingError where nothing answers."""
    return _status(server, {"Origin": page}) != 403


def obstacles(server: str, host: str, has_tls: bool) -> list[str]:
    """Why browsers that open a page on `host` could not reach the server, in words; empty where they can."""
    parts = urlsplit(server)
    is_near = is_loopback(parts.hostname or "")
    found = []
    if is_near and not is_loopback(host):
        found.append(f"{server} is this machine for each browser, so the page works on this machine only")
    if has_tls and parts.scheme == "http" and not is_near:
        found.append(f"browsers let no page over https:// speak to {server}; give that server a certificate too")
    return found


def _status(server: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"{server}/v1/glossaries", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError) as error:
        raise SettingError(f"no server answers at {server} ({error}); start one: termcue serve") from error
