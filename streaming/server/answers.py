"""How plain HTTP says no: in the form of the protocol's errors."""

from starlette.responses import JSONResponse, Response


def error_response(status: int, code: str, message: str, retry_after_s: float | None = None) -> Response:
    """An error with its code, and when to come again."""
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:.0f}"}
    return JSONResponse({"type": "Error", "code": code, "message": message}, status, headers)
