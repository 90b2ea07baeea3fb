"""A server's certificate and key."""

import ssl
from pathlib import Path

from streaming.errors import SettingError


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """A TLS context for a server. Raises SettingError naming the file that does not serve."""
    for path in (certificate, key):
        if not path.is_file():
            raise SettingError(f"{path} does not exist; give the PEM files to --tls-cert and --tls-key.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise SettingError(
            f"{certificate} and {key} are no certificate with its key ({error}); give matching PEM files."
        ) from error
    return context
