"""How a connection of the wire protocol ends: abnormally only after an error that says why."""

from dataclasses import dataclass
from typing import TypeAlias

from streaming.errors import WireError
from streaming.protocol import CloseCode, Error, Limits, ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with `code`; `reason` is one short word."""

    code: CloseCode
    reason: str


Output: TypeAlias = ServerMessage | Close


class RefusedSession(WireError):
    """A session that cannot be opened; the connection closes with `close_code`."""

    def __init__(self, code: str, close_code: CloseCode, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code
        self.field = field


def refusal(
    code: str,
    close_code: CloseCode,
    message: str,
    *,
    seq: int = 0,
    field: str | None = None,
    retry_after_s: float | None = None,
) -> tuple[Error, Close]:
    """The fatal error and the close that it announces: the only way in which a connection ends abnormally."""
    error = Error(
        seq=seq,
        code=code,
        close_code=close_code,
        fatal=True,
        message=message,
        field=field,
        retry_after_s=retry_after_s,
    )
    return error, Close(close_code, code)


def frame_too_big(limits: Limits, *, seq: int) -> tuple[Error, Close]:
    """The refusal of a frame above `limits.max_frame_bytes`."""
    return refusal(
        "frame_too_big",
        CloseCode.FRAME_TOO_BIG,
        f"a frame may have at most {limits.max_frame_bytes} bytes: send frames of 20 to 100 ms",
        seq=seq,
    )
