"""The server as a program: until a signal."""

import asyncio
import signal
from collections.abc import Callable, Mapping

from streaming.batching import ComputeSlots
from streaming.server.api_keys import ApiKeys
from streaming.server.config import ServerConfig
from streaming.server.hint_server import HintServer
from streaming.server.http_app import Mounts
from streaming.server.metrics import ServerMetrics
from streaming.server.shared import Record
from streaming.session import ServedGlossary


def run_server(
    config: ServerConfig,
    served: Mapping[str, ServedGlossary],
    keys: ApiKeys | None,
    on_ready: Callable[[str], None],
    *,
    slots: ComputeSlots | None = None,
    metrics: ServerMetrics | None = None,
    mounts: Mounts | None = None,
    reload: Callable[[str], None] | None = None,
    record: Record | None = None,
    warm_up: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; blocks.

    It listens at once, and lets clients in when `warm_up` has returned, which runs on a thread; `on_ready` is told the
    address then.

    Raises:
        SettingError: as `HintServer`.
    """

    async def serve_until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = HintServer(
            config,
            served,
            keys,
            slots=slots,
            metrics=metrics,
            mounts=mounts,
            reload=reload,
            record=record,
            is_ready=warm_up is None,
        )
        async with server:
            if warm_up is not None:
                await asyncio.to_thread(warm_up)
                server.is_ready = True
            on_ready(server.url)
            await stop.wait()

    asyncio.run(serve_until_signal())
