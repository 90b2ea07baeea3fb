"""Who may open the page, and under which address."""

import hashlib
import secrets
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from demo.site import MOUNT_PATH
from streaming.protocol import HINTS_PATH
from streaming.server.access import is_loopback
from streaming.server.api_keys import ApiKeys, presented_key

# Typed by thumb on a phone: no capitals, nothing that looks like something else. Sixteen of them are 79 bits.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_key() -> tuple[str, ApiKeys]:
    """A key that nobody knows yet, and what lets in who has it."""
    key = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    return key, ApiKeys([hashlib.sha256(key.encode()).hexdigest()])


class PageKeys:
    """Who may open the page and speak to the server that carries it.

    Args:
        current: the keys that are good now; None for everybody on this machine.
        made: one of them that nobody knows yet, "" for none.
        file: where they came from, if they did.
    """

    def __init__(self, current: ApiKeys | None, made: str = "", file: Path | None = None) -> None:
        self.current, self.made, self._file = current, made, file

    @classmethod
    def of(cls, file: Path | None, host: str) -> "PageKeys":
        """The keys of the file, else a new one where others reach the host.

        Raises:
            SettingError: the file cannot be used.
        """
        if file is not None:
            return cls(ApiKeys.load(file), file=file)
        if is_loopback(host):
            return cls(None)
        made, keys = new_key()
        return cls(keys, made)

    def allow(self, authorizations: Sequence[str]) -> bool:
        """Whether who sends these headers may come in now."""
        key = presented_key(authorizations, ())
        return self.current is None or (key is not None and self.current.accepts(key))

    @property
    def reader(self) -> Callable[[], ApiKeys] | None:
        """Reads the file again and goes by it from there on, raises SettingError where it cannot; None without one."""
        return None if self._file is None else partial(self._read, self._file)

    def _read(self, file: Path) -> ApiKeys:
        self.current = keys = ApiKeys.load(file)
        return keys


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
