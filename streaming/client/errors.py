"""How a stream to a server fails.

WireError
├── ServerUnreachable   no connection could be made
├── StreamRefused       the server said why it ends the stream, or takes no such setting
└── StreamLost          the connection broke and could not be made again in time
"""

from streaming.errors import WireError
from streaming.protocol import Error


class ServerUnreachable(WireError):
    """No connection could be made; `may_pass` where the same try can succeed a moment later."""

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class StreamRefused(WireError):
    """The server's own error, as it came: `error.code` is for programs."""

    def __init__(self, message: str, error: Error) -> None:
        super().__init__(message)
        self.error = error


class StreamLost(WireError):
    """The connection broke, and the stream could not be taken up again."""
