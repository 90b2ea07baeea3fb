"""A certificate that this machine signs itself, so that a phone in the same room may use its microphone."""

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.tls import server_tls
from streaming.errors import SettingError

_DAYS = 30


def self_signed_tls(names: Sequence[str]) -> ssl.SSLContext:
    """A TLS context with a new certificate for these names and addresses; its key is on no disk afterwards.

    Raises:
        SettingError: there is no `openssl`, or it fails.
    """
    with TemporaryDirectory(prefix="termcue-tls-") as kept:
        certificate, key = Path(kept) / "cert.pem", Path(kept) / "key.pem"
        _sign(certificate, key, ",".join(f"{_kind(name)}:{name}" for name in names))
        return server_tls(certificate, key)


def _sign(certificate: Path, key: Path, names: str) -> None:
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
        *("-days", str(_DAYS), "-subj", "/CN=TermCue", "-addext", f"subjectAltName={names}"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise SettingError("--ssl-self-signed needs openssl: install it, or give --tls-cert and --tls-key.") from error
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise SettingError(
            f"openssl made no certificate ({said.strip()[-200:]}); give --tls-cert and --tls-key."
        ) from error


def _kind(name: str) -> str:
    return "IP" if name.replace(".", "").isdigit() or ":" in name else "DNS"
