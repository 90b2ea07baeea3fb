"""The limits of a server as its options give them."""

import os
from typing import Unpack

import click
import pytest
from click.testing import CliRunner

from app.serve_limits import ServeLimits, limit_options, limited
from streaming.server import ServerConfig


def _configured(*options: str, has_keys: bool = False) -> ServerConfig | str:
    """The configuration that these options give, or what is said of them."""
    configured: list[ServerConfig] = []

    @click.command()
    @limit_options
    def serve(**limits: Unpack[ServeLimits]) -> None:
        configured.append(limited(ServerConfig(), limits, has_keys=has_keys))

    result = CliRunner().invoke(serve, options)
    return configured[0] if result.exit_code == 0 else result.output


def test_defaults_are_those_of_the_server() -> None:
    """So that the help tells the truth; with keys audio comes about as fast as it is spoken."""
    assert _configured() == ServerConfig()
    with_keys = _configured(has_keys=True)
    assert isinstance(with_keys, ServerConfig)
    assert with_keys.connection.limits.max_realtime_factor == 1.5


def test_each_option_has_its_place() -> None:
    """None is lost, and none takes another's place."""
    config = _configured(
        *("--max-sessions", "3", "--threads", "5", "--max-realtime-factor", "2.5", "--connections-per-address", "7"),
        *("--max-file-size", "2", "--resume-window", "11", "--idle-timeout", "13", "--drain", "17.5"),
        has_keys=True,
    )
    assert isinstance(config, ServerConfig)
    limits = config.connection.limits
    assert (config.max_sessions, config.threads, config.connections_per_address) == (3, 5, 7)
    assert (config.max_file_bytes, config.drain_s) == (2 * 1024 * 1024, 17.5)
    assert (limits.max_realtime_factor, limits.resume_window_s, limits.idle_timeout_s) == (2.5, 11, 13)
    assert ServerConfig().threads == os.cpu_count()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--threads", "0"),
        ("--connections-per-address", "0"),
        ("--max-file-size", "0"),
        ("--idle-timeout", "0"),
        ("--drain", "-1"),
        ("--drain", "nan"),
        ("--resume-window", "inf"),
    ],
)
def test_values_out_of_range_are_wrong_usage(option: str, value: str) -> None:
    """The option is named."""
    said = _configured(option, value)
    assert isinstance(said, str)
    assert option in said
