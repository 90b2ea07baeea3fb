"""Plain HTTP beside the websocket: health, metrics, glossaries, recordings and tokens."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route

from streaming.errors import TermCueError
from streaming.protocol import HINTS_PATH, Error
from streaming.server.access import Access
from streaming.server.admission import Admission
from streaming.server.answers import error_response
from streaming.server.config import ServerConfig
from streaming.server.connection import RESTART_MESSAGE
from streaming.server.hints_file import hints_of_file
from streaming.server.leave import Leave
from streaming.server.live_session import LiveSession
from streaming.server.metrics import CONTENT_TYPE_LATEST
from streaming.server.own_thread import on_own_thread
from streaming.server.shared import Shared
from streaming.server.tokens import TOKEN_LIFE_S
from streaming.session import ServedGlossary
from streaming.sessions.closing import Output

Mounts: TypeAlias = Mapping[str, Any]
"""Path -> ASGI application; that of "" answers for every path that nothing else is at."""
_PACKAGE = Path(__file__).parents[1]
_FILES = {
    "/v1/asyncapi.json": (_PACKAGE / "asyncapi.json", "application/json"),
    "/v1/client.js": (_PACKAGE / "browser" / "termcue.js", "text/javascript"),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """What the answers are made of.

    Attributes:
        config: of the server.
        shared: what sessions are made of.
        reload: looks for a new version of a glossary at once; None where nothing is looked for.
        access: who is let in.
        admission: whether there is room.
        leave: when what is under way has to end.
        end: told of a session that is over.
    """

    config: ServerConfig
    shared: Shared
    reload: Callable[[str], None] | None
    access: Access
    admission: Admission
    leave: Leave
    end: Callable[[LiveSession], None]


Answer: TypeAlias = Callable[[Request, Site], Awaitable[Response]]


def application(site: Site, mounts: Mounts) -> Starlette:
    """The ASGI application of a server; `mounts` come after its own paths."""

    def guarded(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def with_key(request: Request) -> Response:
            refused = site.access.refused(request.headers.getlist("authorization"))
            return _refusal(refused, 401) if refused else await answer(request, site)

        return with_key

    def free(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def with_site(request: Request) -> Response:
            return await answer(request, site)

        return with_site

    routes = [
        Route(HINTS_PATH, free(_hints)),
        Route("/health", free(_health)),
        Route("/ready", free(_ready)),
        Route("/metrics", guarded(_metrics)),
        Route("/v1/glossaries", guarded(_glossaries)),
        Route("/v1/glossaries/{glossary_id}:reload", guarded(_reload), methods=["POST"]),
        Route("/v1/tokens", guarded(_tokens), methods=["POST"]),
        Route("/v1/hints:file", guarded(hints_of_file), methods=["POST"]),
        *(Route(path, _file(*file)) for path, file in _FILES.items()),
        *(Mount(path, mounted) for path, mounted in mounts.items() if path),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(site.config.allowed_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
    made = Starlette(routes=routes, middleware=[cors], exception_handlers={404: _nothing_there, 405: _wrong_method})
    if "" in mounts:
        # Not a route: it would also take the requests whose path is right and whose method is wrong.
        made.router.default = mounts[""]
    return made


async def _hints(_: Request, __: Site) -> Response:
    answer = error_response(426, "upgrade_required", f"{HINTS_PATH} speaks websocket: connect one")
    answer.headers["Upgrade"] = "websocket"
    return answer


async def _health(_: Request, site: Site) -> Response:
    return _json({"status": "ok", "sessions": site.admission.busy, "max_sessions": site.config.max_sessions})


async def _ready(_: Request, site: Site) -> Response:
    return _json({"ready": site.admission.is_open}, 200 if site.admission.is_open else 503)


async def _metrics(_: Request, site: Site) -> Response:
    return Response(site.shared.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _glossaries(_: Request, site: Site) -> Response:
    return _json({"glossaries": [_described(name, each) for name, each in site.shared.served.items()]})


async def _tokens(request: Request, site: Site) -> Response:
    token = site.access.issue_token(request.headers.getlist("authorization"))
    return _json({"token": token, "expires_in_s": TOKEN_LIFE_S})


async def _reload(request: Request, site: Site) -> Response:
    glossary_id: str = request.path_params["glossary_id"]
    before = site.shared.served.get(glossary_id)
    try:
        if site.reload is not None:
            async with site.leave.patience():
                await on_own_thread(partial(site.reload, glossary_id))
    except (TermCueError, OSError) as error:
        if site.leave.is_begun:
            return error_response(503, "restart", RESTART_MESSAGE, site.config.retry_after_s)
        logger.warning("the new version of %s cannot be used: %s", glossary_id, error)
        kept = "it is not served" if before is None else f"version {before.version} is served on"
        message = f"it cannot be used, the server's log says why; {kept}"
        return error_response(409, "unusable_glossary", message)
    # One that was published since is found by looking, where all that is published is served.
    glossary = site.shared.served.get(glossary_id)
    if glossary is None:
        there = ", ".join(site.shared.served) or "none"
        message = f"there is no glossary {glossary_id!r} here; there are: {there}"
        return error_response(404, "unknown_glossary", message)
    return _json(_described(glossary_id, glossary))


def _described(glossary_id: str, glossary: ServedGlossary) -> dict[str, object]:
    return {
        "id": glossary_id,
        "version": glossary.version,
        "terms": glossary.terms,
        "source_lang": glossary.source_lang,
        "target_langs": list(glossary.target_langs),
        "profiles": list(glossary.profiles),
    }


def _file(path: Path, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(path, media_type=media_type) if path.is_file() else await _nothing_there(request, None)

    return answer


async def _nothing_there(request: Request, _: Exception | None) -> Response:
    return error_response(404, "not_found", f"there is nothing at {request.url.path} for {request.method}")


async def _wrong_method(request: Request, error: Exception) -> Response:
    """405 names the methods that there are, as RFC 9110 has it."""
    allowed = error.headers["Allow"] if isinstance(error, HTTPException) and error.headers else ""
    answer = error_response(405, "wrong_method", f"{request.url.path} takes {allowed}, not {request.method}")
    answer.headers["Allow"] = allowed
    return answer


def _refusal(outputs: tuple[Output, ...], status: int) -> Response:
    error = next(output for output in outputs if isinstance(output, Error))
    return error_response(status, error.code, error.message)


def _json(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False) + "\n", status, media_type="application/json")
