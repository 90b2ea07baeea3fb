"""The live server with the page on it, in a thread: as `termcue demo` wires it, to be stopped and started at will."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.demonstrating import Demonstration, Stage, staged
from app.loaded_model import load_folder, warm_up
from app.page_access import PageKeys
from app.places import Places
from demo.site import MOUNT_PATH, PageSettings
from streaming.server import HintServer, ServerConfig
from streaming.server.api_keys import ApiKeys


@dataclass(slots=True)
class PageServer:
    """One server on a port of the loopback that stays the same when it is started again."""

    stage: Stage
    keys: ApiKeys | None = None
    config: ServerConfig = field(default_factory=lambda: ServerConfig(port=0, drain_s=2))
    http_url: str = ""
    _stop: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None

    @property
    def page_url(self) -> str:
        """Where the page is."""
        return f"{self.http_url}{MOUNT_PATH}/"

    def start(self) -> None:
        """Serve; returns when it listens."""
        listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)))
        self._thread.start()
        assert listening.wait(30)

    def stop(self) -> None:
        """Take leave of everybody."""
        assert self._loop is not None
        assert self._stop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _serve(self, listening: threading.Event) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        stage = self.stage
        server = HintServer(
            self.config,
            stage.catalogue,
            self.keys,
            slots=stage.slots,
            metrics=stage.metrics,
            mounts=stage.mounts,
            reload=stage.reload,
        )
        async with server:
            self.http_url = server.http_url
            self.config = replace(self.config, port=int(server.http_url.rpartition(":")[2]))
            listening.set()
            await self._stop.wait()


@contextmanager
def page_server(folder: Path, keys: ApiKeys | None = None) -> Iterator[PageServer]:
    """A server of the bundled sample, with all that it writes below `folder`."""
    demonstration = Demonstration(
        config=ServerConfig(port=0),
        keys=PageKeys(keys),
        settings=PageSettings(needs_key=keys is not None),
        folder=load_folder(None),
        provider="cpu",
        places=Places(folder / "data", folder / "cache"),
        ready=lambda address: None,
    )
    with staged(demonstration, ()) as stage:
        warm_up(stage.model)
        server = PageServer(stage, keys)
        server.start()
        try:
            yield server
        finally:
            server.stop()
