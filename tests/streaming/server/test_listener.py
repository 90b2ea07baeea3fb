import socket

import pytest

from streaming.errors import SettingError
from streaming.server import check_address


def test_a_port_that_is_free_stays_free() -> None:
    """Asking leaves nothing behind; 0 is any port, and a name of this machine does as well."""
    for host in ("127.0.0.1", "localhost"):
        check_address(host, 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    for _ in range(2):
        check_address("127.0.0.1", port)


def test_a_port_that_is_taken_is_named() -> None:
    """With why, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match=f"127.0.0.1 port {port}: .*in use; choose another --port or --host"):
            check_address("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_elsewhere_is_named(host: str) -> None:
    """An address of another machine (RFC 5737), and a name that nobody knows (RFC 6761)."""
    with pytest.raises(SettingError, match=f"cannot listen on {host} port 0: .*; choose another"):
        check_address(host, 0)
