"""Who may open the page, and under which address."""

import hashlib
import secrets
import socket
import urllib.error
import urllib.request

from demo.site import MOUNT_PATH
from streaming.errors import SettingError
from streaming.protocol import HINTS_PATH
from streaming.server.access import is_loopback
from streaming.server.api_keys import ApiKeys

_ANSWER_WITHIN_S = 10


def asks_for_key(server: str) -> bool:
    """Whether a running server asks for a key. Raises SettingError where nothing answers there."""
    try:
        with urllib.request.urlopen(f"{server}/v1/glossaries", timeout=_ANSWER_WITHIN_S):
            return False
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 401:
                return True
            raise SettingError(f"{server} answers {error.code}: give the address of a termcue serve.") from error
    except (OSError, ValueError) as error:
        raise SettingError(f"no server answers at {server} ({error}); start one: termcue serve") from error


def new_key() -> tuple[str, ApiKeys]:
    """A key that nobody knows yet, and what lets in who has it."""
    key = secrets.token_urlsafe(18)
    return key, ApiKeys([hashlib.sha256(key.encode()).hexdigest()])


def own_address(host: str) -> str:
    """The address under which others reach this machine, where it listens on all of them."""
    if host not in ("0.0.0.0", "::"):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Choosing a route sends nothing; 192.0.2.1 is nobody's (RFC 5737).
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def page_address(hints_url: str, host: str, key: str = "") -> str:
    """Where the page is on the server of `hints_url`, with the key in the part that browsers keep to themselves.

    Args:
        hints_url: where the server's websocket is.
        host: what it listens on.
        key: "" for none.
    """
    where = hints_url.replace("ws", "http", 1).removesuffix(HINTS_PATH)
    if not is_loopback(host):
        where = where.replace(f"//{host}:", f"//{own_address(host)}:", 1)
    return f"{where}{MOUNT_PATH}/{f'#key={key}' if key else ''}"
