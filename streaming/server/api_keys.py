"""Who may connect: keys are kept as SHA-256 digests and compared in constant time."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from streaming.errors import SettingError

TOKEN_SUBPROTOCOL = "token"
_CURE = "write the output of `printf %s KEY | sha256sum`, one line for each key"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SCHEMES = ("bearer", "token")


class ApiKeys:
    """The digests of the keys that are let in.

    Args:
        digests: SHA-256 of each key, 64 hex digits.

    Raises:
        SettingError: there is none, or one is not a digest; the text is not repeated, for it may be a key.
    """

    def __init__(self, digests: Iterable[str]) -> None:
        self._digests: list[bytes] = []
        for number, digest in enumerate(digests, start=1):
            if not _DIGEST.fullmatch(digest):
                raise SettingError(f"API key {number} is not a SHA-256 digest of 64 hex digits: {_CURE}")
            self._digests.append(bytes.fromhex(digest))
        if not self._digests:
            raise SettingError(f"there is no API key: {_CURE}")

    @classmethod
    def load(cls, path: Path) -> "ApiKeys":
        """Read a file with one digest a line; what follows the digest is a name, "#" starts a remark.

        Raises:
            SettingError: the file cannot be read or a line does not start with a digest.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise SettingError(
                f"the API keys file {path} cannot be read ({error.strerror}): give a file to --api-keys-file; {_CURE}"
            ) from error
        except UnicodeDecodeError as error:
            raise SettingError(f"the API keys file {path} cannot be read, it is not UTF-8 text: {_CURE}") from error
        try:
            return cls(line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#"))
        except SettingError as error:
            raise SettingError(f"{path}: {error}") from error

    def accepts(self, key: str) -> bool:
        """Whether `key` is one of ours; takes equally long wherever it differs and whichever it matches."""
        return self.holds(digest_of(key))

    def holds(self, digest: bytes) -> bool:
        """Whether `digest` is that of one of ours; takes equally long, too."""
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


def digest_of(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def presented_key(authorizations: Sequence[str], subprotocols: Sequence[str]) -> str | None:
    """The key in `Authorization: Bearer|Token KEY` or, as browsers must, in the subprotocols `token, KEY`."""
    if len(authorizations) == 1:
        scheme, _, key = authorizations[0].partition(" ")
        if scheme.lower() in _SCHEMES and key.strip():
            return key.strip()
    if len(subprotocols) == 2 and subprotocols[0] == TOKEN_SUBPROTOCOL:
        return subprotocols[1]
    return None
