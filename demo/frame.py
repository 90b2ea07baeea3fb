"""The Gradio page around our own script, and what of Gradio may be asked for.

Gradio gives the document, its theme and its parts; sound and hints never pass through it. It has no event of ours, so
nothing of its programming interface (uploads, queues, files) is let through.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TITLE = "TermCue"
_SYSTEM_FONTS = ("system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO_FONTS = ("ui-monospace", "Consolas", "Menlo", "monospace")
_OPEN_PATHS = ("/config", "/theme.css", "/favicon.ico", "/manifest.json")
_OPEN_FOLDERS = ("/assets/", "/static/", "/svelte/")
_HEAD = """
<link rel="icon" href="page/icon.svg">
<link rel="stylesheet" href="page/page.css">
<script type="module" src="page/page.js"></script>
"""


def check_gradio() -> None:
    """Whether Gradio can be imported; raises ImportError, which names what is missing."""
    # Read by Gradio when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio  # noqa: F401


def framed_page(server: str) -> ASGIApp:
    """The page as an ASGI application; `server` is the address of a live server elsewhere, "" for none."""
    check_gradio()
    # On a thread of its own, so that it does not matter whether an event loop runs on this one.
    with ThreadPoolExecutor(1) as thread:
        return OpenPart(thread.submit(lambda: asyncio.run(_gradio_application())).result(), server)


async def _gradio_application() -> ASGIApp:
    """Made inside an event loop: outside of any Gradio makes some and leaves them open."""
    import gradio

    with gradio.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        gradio.HTML((files(__package__) / "static" / "page.html").read_text(encoding="utf-8"))
    blocks.queue(api_open=False)
    around = Starlette()
    gradio.mount_gradio_app(
        around,
        blocks,
        path="",
        theme=gradio.themes.Base(font=_SYSTEM_FONTS, font_mono=_MONO_FONTS),
        head=_HEAD,
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        show_error=False,
        enable_monitoring=False,
    )
    return around


class OpenPart:
    """Lets through what the page is made of, under a policy that keeps the browser on this server.

    Args:
        application: Gradio's.
        server: another address that the page may speak to, "" for none.
    """

    def __init__(self, application: ASGIApp, server: str) -> None:
        self._application = application
        elsewhere = f" {server} {server.replace('http', 'ws', 1)}" if server else ""
        self._policy = (
            "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            f"media-src 'self' blob: mediastream:; connect-src 'self'{elsewhere}; "
            "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_page = path in ("", "/")
        is_open = is_page or path in _OPEN_PATHS or (path.startswith(_OPEN_FOLDERS) and ".." not in path)
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or not is_open:
            await PlainTextResponse("this part of Gradio is not served\n", 404)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers()]
            await send(message)

        await self._application(scope, receive, send_with_policy)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        said: dict[str, Any] = {
            "content-security-policy": self._policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "permissions-policy": "microphone=(self), display-capture=(self), camera=(), geolocation=()",
        }
        return [(name.encode(), value.encode()) for name, value in said.items()]
