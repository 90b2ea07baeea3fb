"""Where the server listens, and how much it takes on."""

import os
import ssl
from dataclasses import dataclass, field

from streaming.errors import SettingError
from streaming.protocol import Limits

_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfig:
    """Bounds of one connection.

    `queue_bytes` of frames may wait for the session; a client that takes no message for `send_timeout_s` is cut off.
    """

    limits: Limits = field(default_factory=Limits)
    queue_bytes: int = 1_048_576
    send_timeout_s: float = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server is told; raises SettingError for a value out of its range.

    Attributes:
        host: address to listen on.
        port: 0 takes any free one.
        max_sessions: streams at a time; sessions that wait for their clients to come back make room when it is needed.
        retry_after_s: what a client is told to wait that finds no room.
        threads: sessions that compute at a time.
        allowed_origins: pages (scheme://host:port) whose scripts may connect; a client that is no browser names no
            origin and is not asked for one.
        tls: certificate and key.
        connection: bounds of each connection.
        connections_per_address: of one address at a time; behind a proxy all come from the proxy's.
        max_file_bytes: the largest recording that is taken over HTTP.
        drain_s: how long sessions are waited for when the server stops.
        log_terms: whether hints are written to the log.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    max_sessions: int = 8
    retry_after_s: float = 5
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_origins: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    connections_per_address: int = 256
    max_file_bytes: int = 512 * 1_048_576
    drain_s: float = 10
    log_terms: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MAX_PORT:
            raise SettingError(f"port = {self.port} is no port: give 1..{_MAX_PORT}, or 0 for any free one")
        if self.max_sessions < 1:
            raise SettingError(f"max_sessions = {self.max_sessions} would serve nobody: give at least 1")
        if self.threads < 1:
            raise SettingError(f"threads = {self.threads} would work on nothing: give at least 1")
        if self.connections_per_address < 1:
            number = self.connections_per_address
            raise SettingError(f"connections_per_address = {number} would let nobody in: give at least 1")
