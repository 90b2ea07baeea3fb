"""The options of `termcue serve` that say how much a server takes on, and how long it waits."""

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

import click

from app.options import Command, FiniteRange

if TYPE_CHECKING:
    from streaming.server import ServerConfig

_MEBIBYTE = 1_048_576
_FACTOR_WITH_KEYS = 1.5


class ServeLimits(TypedDict):
    """What the options give."""

    max_sessions: int
    threads: int | None
    max_realtime_factor: float | None
    connections_per_address: int
    max_file_size: int
    resume_window: float
    idle_timeout: float
    drain: float


def limit_options(command: Command) -> Command:
    """The options of `ServeLimits`."""
    for decorate in reversed(
        (
            click.option(
                "--max-sessions", type=click.IntRange(min=1), default=8, show_default=True, help="Streams at a time."
            ),
            click.option(
                "--threads",
                type=click.IntRange(min=1),
                metavar="N",
                help="Streams that compute at a time. [default: one for each core]",
            ),
            click.option(
                "--max-realtime-factor",
                type=FiniteRange(min=1),
                metavar="N",
                help="How fast audio may come, in times the speed of speech. "
                "[default: 1.5 with keys, else as fast as it likes]",
            ),
            click.option(
                "--connections-per-address",
                type=click.IntRange(min=1),
                default=256,
                show_default=True,
                metavar="N",
                help="Connections at a time of one address, or of one /64 network of IPv6; raise it behind a proxy.",
            ),
            click.option(
                "--max-file-size",
                type=click.IntRange(min=1),
                default=512,
                show_default=True,
                metavar="MIB",
                help="Largest recording that is taken over HTTP, in MiB.",
            ),
            click.option(
                "--resume-window",
                type=FiniteRange(min=0),
                default=60,
                show_default=True,
                metavar="SECONDS",
                help="How long a session waits for a client whose connection broke.",
            ),
            click.option(
                "--idle-timeout",
                type=FiniteRange(min=0, min_open=True),
                default=30,
                show_default=True,
                metavar="SECONDS",
                help="How long a client may send neither audio nor KeepAlive.",
            ),
            click.option(
                "--drain",
                type=FiniteRange(min=0),
                default=10,
                show_default=True,
                metavar="SECONDS",
                help="How long the goodbyes may take after SIGTERM or Ctrl-C; a second one ends them.",
            ),
        )
    ):
        command = decorate(command)
    return command


def limited(config: "ServerConfig", limits: ServeLimits, *, has_keys: bool) -> "ServerConfig":
    """The configuration of a server with these limits; where it has keys, audio comes at the speed of speech."""
    factor = limits["max_realtime_factor"]
    announced = replace(
        config.connection.limits,
        max_realtime_factor=_FACTOR_WITH_KEYS if factor is None and has_keys else factor,
        resume_window_s=limits["resume_window"],
        idle_timeout_s=limits["idle_timeout"],
    )
    return replace(
        config,
        max_sessions=limits["max_sessions"],
        threads=limits["threads"] or config.threads,
        connections_per_address=limits["connections_per_address"],
        max_file_bytes=limits["max_file_size"] * _MEBIBYTE,
        drain_s=limits["drain"],
        connection=replace(config.connection, limits=announced),
    )
