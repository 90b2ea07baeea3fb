"""How many people may speak at the same time: N sessions of real speech in real time, over the loopback.

    python tests/benchmarks/load.py                                   # the bundled recordings; prints a table
    python tests/benchmarks/load.py --sessions 8 16 24 32 --seconds 60 --batching on off
    python tests/benchmarks/load.py --data DIR --stream plague --entries 300 10000 --largest --hop-ms 320

The server is a process of its own, as `termcue serve` sets it up; the clients are one more, which sends frames of
0.1 s at the pace of speech, each session from another place of the stream. Latency is on the wall clock: when a hint
came in, less when the frame with the end of its term went out. A row holds if p50 is at most 0.8 s, p95 at most 1.5 s,
no window was left out and no session was ever more than 0.3 s behind. `--largest` looks for the largest number that
holds, in steps of `--step`. CPU is the server's, in cores. Run it on a machine that does nothing else.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

# Run as a file, this folder comes first on the path, and a module in it would stand for the package of its name.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from streaming.protocol import CloseStream, Error, Lag, Metadata, TermHint, decode_server, encode

FRAME_BYTES = 3200
FRAME_S = 0.1
P50_S, P95_S, LAG_S = 0.8, 1.5, 0.3
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Heard:
    """What came back to one session."""

    latencies: list[float] = field(default_factory=list)
    lag_s: float = 0.0
    dropped: int = 0
    late_frames: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One load."""

    entries: int
    batching: str
    sessions: int
    hints: int
    p50_s: float
    p95_s: float
    most_behind_s: float
    dropped: int
    errors: int
    cpu_cores: float
    mean_batch: float
    memory_mb: float
    holds: bool


def pcm(given: argparse.Namespace) -> bytes:
    """The speech, s16le mono at 16 kHz."""
    if given.data is None:
        from app.samples import recordings
        from streaming.sources import FileSource

        return b"".join(b"".join(FileSource(each.path).chunks()) + bytes(16_000) for each in recordings())
    from training.evaluation.collect import read_stream

    return read_stream(given.data / "streams" / f"{given.stream}.json", given.data).pcm


def glossary(given: argparse.Namespace, entries: int) -> str | None:
    """The file of a glossary of that many entries; None is the bundled one."""
    return None if given.data is None else str(given.data / "streams" / f"{given.stream}.g{entries}.csv")


class Server:
    """A server process, from its start until the end of the context."""

    def __init__(self, glossary_file: str | None, sessions: int, batching: str, hop_ms: int) -> None:
        """Choose what it serves."""
        served = (glossary_file or "", str(sessions), batching, str(hop_ms))
        self._command = [sys.executable, __file__, "--serve", *served]
        self.url = self.base = ""

    def __enter__(self) -> "Server":
        """Wait until it lets clients in."""
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("the server has no output")
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise SystemExit("the server did not start; its words are above")
        self.base = self.url.replace("ws://", "http://").removesuffix("/v1/hints")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        parts = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """The number behind a name in /metrics."""
        with urllib.request.urlopen(f"{self.base}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


async def speak(url: str, audio: bytes, start: int, seconds: float) -> Heard:
    """One session."""
    heard, sent_at = Heard(), list[float]()
    async with connect(f"{url}?glossary=load&vad_events=false", compression=None, proxy=None) as client:

        async def listen() -> None:
            try:
                while True:
                    message = decode_server(await client.recv(decode=True))
                    now = time.monotonic()
                    if isinstance(message, TermHint) and sent_at:
                        frame = min(int(message.end / FRAME_S), len(sent_at) - 1)
                        heard.latencies.append(now - sent_at[frame])
                    elif isinstance(message, Lag):
                        heard.lag_s = max(heard.lag_s, message.lag_s)
                        heard.dropped = message.dropped_windows
                    elif isinstance(message, Error):
                        heard.errors.append(message.message)
                    elif isinstance(message, Metadata):
                        return
            except ConnectionClosed as closed:
                heard.errors.append(f"closed: {closed}")

        listening = asyncio.create_task(listen())
        begun = time.monotonic()
        for number, frame in enumerate(_frames(audio, start, seconds)):
            due = begun + (number + 1) * FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent_at.append(time.monotonic())
            heard.late_frames += sent_at[-1] - due > FRAME_S
            await client.send(frame)
        await client.send(encode(CloseStream()))
        await asyncio.wait_for(listening, 60)
    return heard


def _frames(audio: bytes, start: int, seconds: float) -> Iterator[bytes]:
    for number in range(int(seconds / FRAME_S)):
        at = (start + number * FRAME_BYTES) % (len(audio) - FRAME_BYTES)
        at -= at % 2
        yield audio[at : at + FRAME_BYTES]


async def run(server: Server, audio: bytes, sessions: int, seconds: float, hop_ms: int) -> list[Heard]:
    """All sessions, begun over one hop so that they do not all decide at once."""

    async def one(number: int) -> Heard:
        await asyncio.sleep(hop_ms / 1000 * number / sessions)
        return await speak(server.url, audio, number * (len(audio) // sessions), seconds)

    return list(await asyncio.gather(*(one(number) for number in range(sessions))))


def measure(given: argparse.Namespace, audio: bytes, entries: int, sessions: int, batching: str) -> Row:
    """One load on a server of its own."""
    with Server(glossary(given, entries), sessions, batching, given.hop_ms) as server:
        asyncio.run(run(server, audio, 1, 5, given.hop_ms))
        before, started = server.cpu_s(), time.monotonic()
        heard = asyncio.run(run(server, audio, sessions, given.seconds, given.hop_ms))
        cpu = (server.cpu_s() - before) / (time.monotonic() - started)
        # The buckets of the histogram bound what no message told.
        lag = max([each.lag_s for each in heard] + [_most(server)])
        batches = server.metric("termcue_batch_contexts_count")
        batch = server.metric("termcue_batch_contexts_sum") / max(1.0, batches)
        memory = server.metric("termcue_memory_bytes") / 1e6
    for text in sorted({error for each in heard for error in each.errors})[:5]:
        sys.stderr.write(f"error: {text}\n")
    if sum(each.late_frames for each in heard):
        sys.stderr.write(f"{sum(each.late_frames for each in heard)} frames were sent more than 0.1 s late\n")
    latencies = sorted(latency for each in heard for latency in each.latencies)
    p50, p95 = (latencies[int(q * (len(latencies) - 1))] if latencies else float("nan") for q in (0.5, 0.95))
    dropped, errors = sum(each.dropped for each in heard), sum(len(each.errors) for each in heard)
    return Row(
        entries=entries,
        batching=batching,
        sessions=sessions,
        hints=len(latencies),
        p50_s=round(p50, 2),
        p95_s=round(p95, 2),
        most_behind_s=round(lag, 2),
        dropped=dropped,
        errors=errors,
        cpu_cores=round(cpu, 2),
        mean_batch=round(batch, 2),
        memory_mb=round(memory),
        holds=p50 <= P50_S and p95 <= P95_S and not dropped and not errors and lag <= LAG_S,
    )


def _most(server: Server) -> float:
    """The upper bound of the highest bucket of the lag that was used."""
    with urllib.request.urlopen(f"{server.base}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    buckets = [line for line in lines if line.startswith("termcue_lag_seconds_bucket")]
    counts = [(line.split('le="')[1].split('"')[0], float(line.rsplit(" ", 1)[1])) for line in buckets]
    total = counts[-1][1]
    below = [0.0, *(float(bound) for bound, count in counts if count < total and bound != "+Inf")]
    return max(below)


def serve(glossary_file: str, sessions: int, batching: str, hop_ms: int) -> None:
    """The server process: `termcue serve` with one glossary called `load`."""
    from app.allocator import giving_back, share_pools

    share_pools()
    from app.glossaries import open_glossary
    from app.loaded_model import for_many, load_folder, load_model, warm_up
    from app.places import Places
    from app.wiring import OpenGlossary, catalogue_of
    from streaming.encoding.batching import ComputeSlots
    from streaming.server import ServerConfig, run_server
    from streaming.server.metrics import ServerMetrics

    folder, config = load_folder(None), ServerConfig(port=0, max_sessions=max(8, sessions))
    metrics, slots = ServerMetrics(), ComputeSlots(config.threads)
    model = for_many(load_model(folder, hop_ms=hop_ms), slots, metrics.batched, batches=batching == "on")
    index = open_glossary(glossary_file or None, folder, Places.of(None)).index
    catalogue = catalogue_of(model, {"load": OpenGlossary("load", index)})
    with giving_back():
        run_server(
            config,
            catalogue,
            None,
            on_ready=lambda url: print(url, flush=True),
            slots=slots,
            metrics=metrics,
            warm_up=lambda: warm_up(model),
        )


def main() -> None:
    """Measure every load and print the table."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of long streams [default: the samples]")
    parser.add_argument("--stream", default="plague", help="its name (default %(default)s)")
    parser.add_argument("--hop-ms", type=int, choices=(640, 320), default=640, help="of the server (default 640)")
    parser.add_argument("--entries", type=int, nargs="+", default=[300], help="sizes of the glossaries of DIR")
    parser.add_argument("--sessions", type=int, nargs="+", default=[8, 16, 24, 32], help="loads")
    parser.add_argument("--batching", nargs="+", default=["on"], choices=["on", "off"], help="contexts together")
    parser.add_argument("--seconds", type=float, default=60, help="speech in each session")
    parser.add_argument("--largest", action="store_true", help="go on until a load does not hold")
    parser.add_argument("--step", type=int, default=4, help="sessions more each time, with --largest")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    audio = pcm(given)
    if not given.json:
        print(" ".join(f"{name:>13}" for name in Row.__dataclass_fields__))
    for entries in given.entries:
        for batching in given.batching:
            loads = iter(given.sessions)
            sessions = next(loads, 0)
            while sessions:
                row = measure(given, audio, entries, sessions, batching)
                values = asdict(row)
                print(json.dumps(values) if given.json else " ".join(f"{value!s:>13}" for value in values.values()))
                sys.stdout.flush()
                following = next(loads, sessions + given.step if given.largest and row.holds else 0)
                sessions = following


if __name__ == "__main__":
    main()
