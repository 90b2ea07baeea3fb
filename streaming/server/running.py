"""The server as a program: until a signal."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping

from streaming.encoding.batching import ComputeSlots
from streaming.server.api_keys import ApiKeys
from streaming.server.config import ServerConfig
from streaming.server.hangup import Reread, reread_at
from streaming.server.hint_server import HintServer
from streaming.server.http_app import Mounts
from streaming.server.metrics import ServerMetrics
from streaming.server.shared import Record
from streaming.session import ServedGlossary
from streaming.terminal import has_terminal


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
    reread: Reread | None = None,
    ends_process: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT; blocks. A second one ends the goodbyes.

    It listens at once, and lets clients in when `warm_up` has returned, which runs on a thread; `on_ready` is told the
    address then. SIGHUP reads again what `reread` says. With `ends_process` all these signals are ignored from the last
    goodbye on: the process ends anyway, and by itself.

    Raises:
        SettingError: as `HintServer`.
    """

    async def serve_until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
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

        def end() -> None:
            if stop.is_set():
                server.hurry()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        rereading = None if reread is None else _reread_at_hangup(server, reread, end)
        async with server:
            if warm_up is None or await _unless(stop, asyncio.to_thread(warm_up)):
                server.is_ready = True
                on_ready(server.url)
                await stop.wait()
            if rereading is not None:
                rereading.cancel()
        if ends_process:
            _ignore_signals()

    asyncio.run(serve_until_signal())


def _reread_at_hangup(server: HintServer, reread: Reread, end: Callable[[], None]) -> asyncio.Task[None]:
    loop = asyncio.get_running_loop()
    asked, had_terminal = asyncio.Event(), has_terminal()

    def hang_up() -> None:
        # The signal is also how a terminal says that it is closed, and then nobody could stop a server that stays.
        if had_terminal and not has_terminal():
            end()
        else:
            asked.set()

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    if reread.was_asked():
        asked.set()
    return loop.create_task(reread_at(asked, server, reread))


def _ignore_signals() -> None:
    """There is nothing left to hurry, and what a process does at its end is not to be broken off."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Wait for some work, but no longer than for a stop; whether it is done. Raises what it raises."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return working.done() and working.result() is None
