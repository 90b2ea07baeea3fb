"""A whole recording over HTTP: the messages of a session, one JSON object a line, as fast as they are found."""

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from streaming.errors import AudioError
from streaming.protocol import CloseCode, CloseStream, Error, encode
from streaming.server.answers import error_response
from streaming.server.connection import KEY_REMOVED_MESSAGE, RESTART_MESSAGE
from streaming.server.inbox import Received
from streaming.server.live_session import LiveSession
from streaming.server.spooled import Spooled, TooBig, TooSlow
from streaming.sessions.closing import Close, Output, RefusedSession
from streaming.sessions.session_query import settings_of_query

if TYPE_CHECKING:
    from streaming.server.http_app import Site

# What says how raw samples are to be read; a file says it itself.
_RAW_PARAMETERS = ("encoding", "sample_rate", "channels")
_NOT_HERE = ("token", "resume", "last_seq")
_STATUS = {CloseCode.GLOSSARY: 404, CloseCode.CONFIG: 400}
# However a recording trickles in, it does not keep its place for longer.
_WHOLE_BODY_S = 600.0
# Silence packs so well that a small file may hold days.
_LONGEST_S = 6 * 3600.0
_FORM = "a form holds more than the recording: send the file alone as the body, as curl does with --data-binary @FILE"
_TOO_LONG = "a recording may last 6 hours at most: cut it"


async def hints_of_file(request: Request, site: "Site") -> Response:
    """Answer `POST /v1/hints:file`: body is an audio file, or raw samples where the query has `encoding`."""
    retry_s = site.config.retry_after_s
    if not site.admission.is_open:
        return error_response(503, "not_ready", "the server is not ready: try again in a moment", retry_s)
    if site.admission.busy >= site.config.max_sessions or site.admission.files >= max(1, site.config.max_sessions // 2):
        message = f"all places for recordings are taken: try again in {retry_s:g} s"
        return error_response(503, "overloaded", message, retry_s)
    asked = parse_qsl(request.url.query, keep_blank_values=True)
    if senseless := next((name for name, _ in asked if name in _NOT_HERE), None):
        return error_response(400, "unknown_parameter", f"{senseless} has no meaning for a recording: leave it out")
    if (refused := _refused_unheard(request, asked, site)) is not None:
        return refused
    try:
        key = site.access.key_of(request.headers.getlist("authorization"))
        heard = _Heard(site, Spooled.begun(), key)
    except OSError as error:
        return _disk_full(error)
    try:
        return await heard.answer(request, asked)
    except BaseException:
        heard.close()
        raise


def _refused_unheard(request: Request, asked: Sequence[tuple[str, str]], site: "Site") -> Response | None:
    """What is answered where the headers and the address alone say that the recording will not be heard."""
    most, promised = site.config.max_file_bytes, request.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > most:
        return error_response(413, "file_too_big", _too_big(most))
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return error_response(400, "unusable_audio", _FORM)
    try:
        settings_of_query(urlencode(_meant(asked)), site.shared.served)
    except RefusedSession as refused:
        return error_response(_STATUS.get(refused.close_code, 400), refused.code, str(refused))
    return None


def _meant(asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters that count before the recording is there: what raw samples are like, a file says itself."""
    if any(name == "encoding" for name, _ in asked):
        return list(asked)
    return [(name, value) for name, value in asked if name not in _RAW_PARAMETERS]


def _too_big(most: int) -> str:
    return f"a recording may have at most {most} bytes: cut it"


class _Heard:
    """One recording on its way through a session; `close` gives its place back, however it ends."""

    def __init__(self, site: "Site", spooled: Spooled, key: bytes | None) -> None:
        self._site, self._spooled, self._key = site, spooled, key
        self._live: LiveSession | None = None
        self._is_open = True
        site.admission.files += 1

    def close(self) -> None:
        """Forget the recording; further calls do nothing."""
        if self._is_open:
            self._is_open = False
            self._site.admission.files -= 1
            self._spooled.remove()
            if self._live is not None:
                self._site.end(self._live)

    async def answer(self, request: Request, asked: list[tuple[str, str]]) -> Response:
        """Take the body in, open a session, and answer with what it says."""
        if (refused := await self._spool(request)) is not None:
            return refused
        shared = self._site.shared
        is_raw = any(name == "encoding" for name, _ in asked)
        try:
            source = await shared.on_thread(self._spooled.check_raw if is_raw else self._spooled.source)
        except AudioError as error:
            return self._refused(400, "unusable_audio", self._spooled.nameless(str(error)))
        if source is not None and source.duration_s > _LONGEST_S:
            return self._refused(413, "recording_too_long", _TOO_LONG)
        if source is not None:
            asked = _meant(asked)
            asked += [("sample_rate", str(source.format.sample_rate)), ("channels", str(source.format.channels))]
        self._live, outputs = await shared.opened(urlencode(asked), f"f_{secrets.token_hex(4)}", None)
        if self._live is None:
            refusal = next(output for output in outputs if isinstance(output, Error))
            return self._refused(_STATUS.get(CloseCode(refusal.close_code), 400), refusal.code, refusal.message)
        if source is None and self._spooled.size / self._live.bytes_per_second > _LONGEST_S:
            return self._refused(413, "recording_too_long", _TOO_LONG)
        chunks = self._spooled.raw_chunks() if source is None else source.chunks()
        lines = self._lines(self._live, outputs, chunks)
        return StreamingResponse(lines, media_type="application/x-ndjson", background=BackgroundTask(self.close))

    async def _spool(self, request: Request) -> Response | None:
        """Take the body in; what is answered where that fails."""
        config, leave = self._site.config, self._site.leave
        patience_s = config.connection.limits.idle_timeout_s
        try:
            await self._spooled.fill(
                request.stream(), config.max_file_bytes, lambda: leave.patience(patience_s), _WHOLE_BODY_S
            )
        except TooBig:
            return self._refused(413, "file_too_big", _too_big(config.max_file_bytes))
        except TooSlow:
            if leave.is_begun:
                return self._refused(503, "restart", RESTART_MESSAGE, config.retry_after_s)
            return self._refused(408, "too_slow", f"nothing came for {patience_s:g} s, or all of it took too long")
        except ClientDisconnect:
            return self._refused(400, "cut_off", "the recording broke off")
        except OSError as error:
            self.close()
            return _disk_full(error)
        return None

    def _refused(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> Response:
        self.close()
        return error_response(status, code, message, retry_after_s)

    async def _lines(
        self, live: LiveSession, greeting: Sequence[Output], chunks: Iterator[bytes]
    ) -> AsyncIterator[bytes]:
        shared = self._site.shared
        try:
            yield _written(greeting)
            while not self._site.leave.is_over and self._site.access.lets_in(self._key):
                outputs = await shared.on_thread(lambda: self._work_on_next(live, chunks))
                if outputs is None:
                    yield _written(await shared.on_thread(lambda: _finished(live)))
                    return
                if written := _written(outputs):
                    yield written
            if self._site.leave.is_over:
                yield _written(live.fail("restart", CloseCode.RESTART, RESTART_MESSAGE, shared.retry_after_s))
            else:
                yield _written(live.fail("key_removed", CloseCode.AUTH, KEY_REMOVED_MESSAGE))
        except AudioError as error:
            yield _written(live.fail("unusable_audio", CloseCode.CONFIG, self._spooled.nameless(str(error))))
        finally:
            with contextlib.suppress(ValueError):  # a generator that is being worked on ends with its chunk
                if hasattr(chunks, "close"):
                    chunks.close()
            self.close()

    def _work_on_next(self, live: LiveSession, chunks: Iterator[bytes]) -> list[Output] | None:
        """What the session says of the next chunk; None after the last."""
        chunk = self._spooled.next_of(chunks)
        now_s = time.monotonic()
        return None if chunk is None else live.receive(Received(chunk, now_s), now_s, 0)


def _finished(live: LiveSession) -> list[Output]:
    """What the session says of the end of the recording."""
    end = Received(encode(CloseStream()), time.monotonic())
    return live.receive(end, end.at_s, 0)


def _written(outputs: Sequence[Output]) -> bytes:
    return "".join(f"{encode(output)}\n" for output in outputs if not isinstance(output, Close)).encode()


def _disk_full(error: OSError) -> Response:
    return error_response(507, "no_room", f"the recording cannot be kept meanwhile: {error.strerror or error}")
