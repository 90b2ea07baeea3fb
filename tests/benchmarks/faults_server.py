"""The server of the fault benchmark as a process of its own, and a network between that can be cut."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_JUMP_S = 3600.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class ServerProcess:
    """One server on one port, which may be killed and started again.

    Args:
        model: model folder.
        glossary: file that is served as `faults`.
        record: folder of recordings, if any.
        jumps: whether its wall clock jumps an hour at every look.
    """

    def __init__(self, model: Path, glossary: Path, record: Path | None = None, *, jumps: bool = False) -> None:
        self.port = free_port()
        arguments = [str(self.port), str(model), str(glossary), str(record or ""), "jumps" if jumps else ""]
        self._command = [sys.executable, str(Path(__file__).with_name("faults.py")), "--serve", *arguments]
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"ws://127.0.0.1:{self.port}/v1/hints"

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it lets clients in."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None or not self._process.stdout.readline():
            raise SystemExit("the server did not start; its words are above")

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)

    def stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)

    def health(self) -> int:
        """Status of /health."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10) as answer:
            return int(answer.status)


class Network:
    """A relay to a port that can be cut: what is under way is lost, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def __aenter__(self) -> "Network":
        """Begin to relay."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def cut(self, seconds: float) -> None:
        """Nothing passes for so long; then connections that were there are dead, and new ones get through."""
        self._is_cut = True
        await asyncio.sleep(seconds)
        self._is_cut = False
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self._is_cut:
            await asyncio.sleep(0.05)
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_writer}
        for source, target in ((reader, to_writer), (to_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if not self._is_cut:
                    target.write(data)
                    await target.drain()
            target.close()
        self._writers.discard(target)


def serve(port: str, model: str, glossary: str, record: str, jumps: str) -> None:
    """The process: `termcue serve` with one glossary that is followed."""
    if jumps:
        _make_clock_jump()
    from app.allocator import giving_back, share_pools

    share_pools()
    from app.glossaries import open_glossary
    from app.loaded_model import for_many, load_folder, load_model, warm_up
    from app.places import Places
    from app.serving import recorder_into
    from app.watched import sources_of
    from app.wiring import by_id, catalogue_of, serve_glossary
    from streaming.encoding.batching import ComputeSlots
    from streaming.server import ServerConfig, run_server
    from streaming.server.metrics import ServerMetrics
    from streaming.sessions.catalogue_watch import CatalogueWatch

    folder, places, config = load_folder(Path(model)), Places.of(None), ServerConfig(port=int(port), max_sessions=64)
    metrics, slots = ServerMetrics(), ComputeSlots(os.cpu_count() or 1)
    loaded = for_many(load_model(folder), slots, metrics.batched)
    sources = sources_of((glossary,), lambda each: serve_glossary(loaded, each), folder, places, "cpu")
    stamps = {name: source.stamp() for name, source in sources().items()}
    catalogue = catalogue_of(loaded, by_id([open_glossary(glossary, folder, places)]))
    with CatalogueWatch(catalogue, sources, stamps) as watch, giving_back():
        run_server(
            config,
            catalogue,
            None,
            on_ready=lambda url: print(url, flush=True),
            slots=slots,
            metrics=metrics,
            reload=watch.reload,
            record=recorder_into(Path(record), loaded) if record else None,
            warm_up=lambda: warm_up(loaded),
        )


def _make_clock_jump() -> None:
    """An hour forth and back at each look at the wall clock, as after a broken time service."""
    import time

    true_time, sign = time.time, [1]

    def jumping() -> float:
        sign[0] = -sign[0]
        return true_time() + sign[0] * _JUMP_S

    time.time = jumping
