"""Who may open the page, and under which address."""

import hashlib
import secrets
import socket
from pathlib import Path

from demo.site import MOUNT_PATH
from streaming.protocol import HINTS_PATH
from streaming.server.access import is_loopback
from streaming.server.api_keys import ApiKeys

# Typed by thumb on a phone: no capitals, nothing that looks like something else. Sixteen of them are 79 bits.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_key() -> tuple[str, ApiKeys]:
    """A key that nobody knows yet, and what lets in who has it."""
    key = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    return key, ApiKeys([hashlib.sha256(key.encode()).hexdigest()])


def keys_of_page(file: Path | None, host: str) -> tuple[str, ApiKeys | None]:
    """What lets in who opens the page: the keys of the file, else a new one, told too, where others reach the host.

    Raises:
        SettingError: the file cannot be used.
    """
    if file is not None:
        return "", ApiKeys.load(file)
    return ("", None) if is_loopback(host) else new_key()


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
