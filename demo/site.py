"""The page as one ASGI application: its frame, its own files, recordings, and the glossary desk over JSON."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from demo.desk import GlossaryDesk, Recording, Upload
from demo.frame import TITLE, framed_page
from streaming.browser import CLIENT_MODULE
from streaming.errors import TermCueError

MOUNT_PATH = "/demo"
MAX_UPLOAD_BYTES = 32 * 2**20
_STATIC = Path(__file__).parent / "static"

Allows: TypeAlias = Callable[[Sequence[str]], bool]
"""The Authorization headers of a request -> whether who sends them may read and publish glossaries."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What the page is told when it opens.

    Attributes:
        server: address of the live server's HTTP side; "" for the one that the page comes from.
        needs_key: whether the server asks for a key.
        glossary: which one to begin with; "" for the first.
        target_langs: languages to begin with, of which two are shown.
    """

    server: str = ""
    needs_key: bool = False
    glossary: str = ""
    target_langs: tuple[str, ...] = ()


def demo_site(desk: GlossaryDesk, recordings: Sequence[Recording], settings: PageSettings, allows: Allows) -> Starlette:
    """The application, to be mounted at `MOUNT_PATH`."""
    by_name = {recording.name: recording for recording in recordings}

    async def setup(_: Request) -> Response:
        listed = [{"name": each.name, "title": each.title} for each in recordings]
        return _json(asdict(settings) | {"recordings": listed})

    async def recording(request: Request) -> Response:
        found = by_name.get(request.path_params["name"])
        return _failed(404, "there is no such recording") if found is None else FileResponse(found.path)

    async def open_glossary(request: Request) -> Response:
        return _json(asdict(await run_in_threadpool(desk.open, request.path_params["glossary_id"])))

    async def publish(request: Request) -> Response:
        content = await _body(request)
        if content is None:
            return _failed(413, f"a glossary may have at most {MAX_UPLOAD_BYTES // 2**20} MiB here: termcue reindex it")
        name = _own_name(request.query_params.get("file", ""))
        made_of = request.query_params.get("made_of", "")
        upload = Upload(request.path_params["glossary_id"], name, content, made_of)
        return _json(asdict(await run_in_threadpool(desk.publish, upload)))

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def with_key(request: Request) -> Response:
            if not allows(request.headers.getlist("authorization")):
                return _failed(401, "an API key is needed: type it into the field Key of the page")
            try:
                return await answer(request)
            except TermCueError as error:
                return _failed(409, str(error))

        return with_key

    return Starlette(
        routes=[
            Route("/desk/setup", setup),
            Route("/desk/recordings/{name}", recording),
            Route("/desk/glossaries/{glossary_id}", guarded(open_glossary)),
            Route("/desk/glossaries/{glossary_id}", guarded(publish), methods=["POST"]),
            Route("/client.js", _client),
            Mount("/page", StaticFiles(directory=_STATIC)),
            Mount("", framed_page(settings.server)),
        ]
    )


def front_door() -> Router:
    """What stands around the page on a server of its own: the way to it, and what browsers ask every host for."""
    manifest = {"name": TITLE, "short_name": TITLE, "start_url": f"{MOUNT_PATH}/", "display": "standalone"}

    async def to_the_page(_: Request) -> Response:
        return RedirectResponse(f"{MOUNT_PATH}/")

    async def icon(_: Request) -> Response:
        return FileResponse(_STATIC / "icon.svg", media_type="image/svg+xml")

    async def described(_: Request) -> Response:
        return _json(manifest)

    return Router([Route("/", to_the_page), Route("/favicon.ico", icon), Route("/manifest.json", described)])


async def _client(_: Request) -> Response:
    return FileResponse(CLIENT_MODULE, media_type="text/javascript")


async def _body(request: Request) -> bytes | None:
    """The body; None where it is too long."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_UPLOAD_BYTES:
            return None
    return bytes(content)


def _own_name(sent: str) -> str:
    """The last part of a file name of any system, so that it names no folder of ours."""
    return PurePosixPath(PureWindowsPath(sent).name).name.replace("\0", "") or "upload"


def _failed(status: int, message: str) -> Response:
    return _json({"message": message}, status)


def _json(content: Any, status: int = 200) -> Response:  # noqa: ANN401
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")
