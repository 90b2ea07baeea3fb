"""A whole recording over HTTP: the messages of a session, one JSON object a line, as fast as they are found."""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from streaming.closing import Close, Output
from streaming.errors import AudioError
from streaming.protocol import CloseCode, CloseStream, Error, encode
from streaming.server.answers import error_response
from streaming.session import Session, open_session
from streaming.sources import FileSource

if TYPE_CHECKING:
    from streaming.server.http_app import Site

# What says how raw samples are to be read; a file says it itself.
_RAW_KEYS = ("encoding", "sample_rate", "channels")
_NOT_HERE = ("token", "resume", "last_seq")
_RAW_CHUNK_BYTES = 32_000
_STATUS = {CloseCode.GLOSSARY: 404, CloseCode.CONFIG: 400}
_Result = TypeVar("_Result")


async def hints_of_file(request: Request, site: "Site") -> Response:
    """Answer `POST /v1/hints:file`: body is an audio file, or raw samples where the query has `encoding`."""
    retry_s = site.config.retry_after_s
    if not site.is_ready():
        return error_response(503, "not_ready", "the server is not ready: try again in a moment", retry_s)
    if site.busy() >= site.config.max_sessions:
        message = f"all {site.config.max_sessions} sessions are taken: try again in {retry_s:g} s"
        return error_response(503, "overloaded", message, retry_s)
    site.take_file(+1)
    recording = _Recording(site)
    try:
        return await recording.answer(request)
    except ClientDisconnect:
        recording.close()
        return Response(status_code=400)
    except BaseException:
        recording.close()
        raise


class _Recording:
    """One recording on its way through a session; `close` gives its place back, however it ends."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._path: Path | None = None
        self._is_open = True

    def close(self) -> None:
        """Forget the recording; further calls do nothing."""
        if self._is_open:
            self._is_open = False
            self._site.take_file(-1)
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    async def answer(self, request: Request) -> Response:
        """Take the body in, open a session, and answer with what it says."""
        asked = [(key, value) for key, value in parse_qsl(request.url.query, keep_blank_values=True)]
        if senseless := next((key for key, _ in asked if key in _NOT_HERE), None):
            return self._fail(400, "unknown_key", f"{senseless} has no meaning for a recording: leave it out")
        self._path = await self._spool(request)
        if self._path is None:
            message = f"a recording may have at most {self._site.config.max_file_bytes} bytes: cut it"
            return self._fail(413, "file_too_big", message)
        is_raw = any(key == "encoding" for key, _ in asked)
        try:
            source = None if is_raw else await self._on_thread(lambda: FileSource(self._required_path))
        except AudioError as error:
            return self._fail(400, "unusable_audio", str(error).replace(str(self._path), "the recording"))
        if source is not None:
            asked = [(key, value) for key, value in asked if key not in _RAW_KEYS]
            asked += [("sample_rate", str(source.format.sample_rate)), ("channels", str(source.format.channels))]
        session, outputs = await self._open(urlencode(asked))
        if session is None:
            refused = next(output for output in outputs if isinstance(output, Error))
            return self._fail(_STATUS.get(CloseCode(refused.close_code), 400), refused.code, refused.message)
        chunks = self._raw_chunks() if source is None else source.chunks()
        return StreamingResponse(
            self._lines(session, outputs, chunks),
            media_type="application/x-ndjson",
            background=BackgroundTask(self.close),
        )

    @property
    def _required_path(self) -> Path:
        if self._path is None:
            raise RuntimeError("the recording has not been taken in")
        return self._path

    def _fail(self, status: int, code: str, message: str) -> Response:
        self.close()
        return error_response(status, code, message)

    async def _spool(self, request: Request) -> Path | None:
        """The body in a temporary file; None where it is too big."""
        with tempfile.NamedTemporaryFile(prefix="termcue-", delete=False) as spooled:
            self._path = Path(spooled.name)
            size = 0
            async for part in request.stream():
                size += len(part)
                if size > self._site.config.max_file_bytes:
                    return None
                await asyncio.to_thread(spooled.write, part)
        return self._path

    async def _open(self, query: str) -> tuple[Session | None, list[Output]]:
        limits, session_id = self._site.config.connection.limits, f"f_{secrets.token_hex(4)}"
        return await self._on_thread(
            lambda: open_session(query, self._site.served, session_id=session_id, limits=limits)
        )

    async def _lines(
        self, session: Session, greeting: Sequence[Output], chunks: Iterator[bytes]
    ) -> AsyncIterator[bytes]:
        try:
            yield _written(greeting)
            while (outputs := await self._on_thread(lambda: _work_on_next(session, chunks))) is not None:
                if written := _written(outputs):
                    yield written
            yield _written(await self._on_thread(lambda: session.receive_text(encode(CloseStream()))))
        except AudioError as error:
            message = str(error).replace(str(self._path), "the recording")
            yield _written(session.fail("unusable_audio", CloseCode.CONFIG, message))
        finally:
            with contextlib.suppress(ValueError):  # a generator that is being worked on ends with its chunk
                if hasattr(chunks, "close"):
                    chunks.close()
            self.close()

    def _raw_chunks(self) -> Iterator[bytes]:
        with self._required_path.open("rb") as raw:
            while chunk := raw.read(_RAW_CHUNK_BYTES):
                yield chunk

    async def _on_thread(self, work: Callable[[], _Result]) -> _Result:
        def in_slot() -> _Result:
            with self._site.slots.held():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._site.executor, in_slot)


def _work_on_next(session: Session, chunks: Iterator[bytes]) -> list[Output] | None:
    """What the session says of the next chunk; None after the last."""
    chunk = next(chunks, None)
    return None if chunk is None else session.receive_audio(chunk)


def _written(outputs: Sequence[Output]) -> bytes:
    return "".join(f"{encode(output)}\n" for output in outputs if not isinstance(output, Close)).encode()
