"""Days of uptime in an hour: a real server, and sessions that speak, keep silent, send noise, come, break and go.

    python tests/benchmarks/soak.py [--minutes 60] [--sessions 6] [--model DIR] [--glossary FILE] [--json]

The server runs in this process and the clients in another, so that memory, tasks and sockets are the server's alone.
Each client sends two seconds of audio and waits until they have been worked on: the machine sets the pace. Slopes are
least-squares lines through what was sampled after the warm-up, which is a quarter of the time and ten minutes at most:
one through all of it, which takes an hour to be steadier than what the work of a moment takes, and one through the
lowest of each half minute, after holes were given back to the system.
Exits with 1 where a task or a socket is left, or a session went wrong; the slope is for the reader to judge.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run as a file, this folder comes first on the path, and its modules would stand for the packages of their names.
HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != HERE]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from app.allocator import giving_back, share_pools
from app.glossaries import open_file
from app.loaded_model import for_many, load_folder, load_model
from app.places import Places
from app.samples import glossary_path
from app.wiring import catalogue_of
from streaming.encoding.batching import ComputeSlots
from streaming.protocol import Limits
from streaming.server import ConnectionConfig, HintServer, ServerConfig
from streaming.sessions.catalogue import Catalogue

_SAMPLE_S = 1.0
_WINDOW_S = 30.0
_RESUME_WINDOW_S = 5.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
MB = 1_048_576


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the server holds at a time: seconds since the start, resident bytes, tasks, sockets and threads."""

    at_s: float
    resident: int
    tasks: int
    sockets: int
    threads: int

    @classmethod
    def now(cls, started: float) -> "Footprint":
        """Look at this process."""
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
        return cls(
            at_s=time.monotonic() - started,
            resident=resident,
            tasks=len(asyncio.all_tasks()),
            sockets=sum(_is_socket(link) for link in Path("/proc/self/fd").iterdir()),
            threads=len(list(Path("/proc/self/task").iterdir())),
        )


def _is_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except OSError:
        # The descriptor by which the folder itself was read is closed by now.
        return False


def floors(footprints: Sequence[Footprint]) -> list[Footprint]:
    """The lowest of each half minute."""
    lowest: dict[int, Footprint] = {}
    for each in footprints:
        window = int(each.at_s // _WINDOW_S)
        lowest[window] = min(lowest.get(window, each), each, key=lambda one: one.resident)
    return list(lowest.values())


def slope_mb_per_hour(footprints: Sequence[Footprint]) -> float:
    """The least-squares line through resident memory."""
    if len(footprints) < 3:
        return float("nan")
    hours = np.array([each.at_s for each in footprints]) / 3600
    megabytes = np.array([each.resident for each in footprints]) / MB
    return float(np.polyfit(hours, megabytes, 1)[0])


async def soak(catalogue: Catalogue, slots: ComputeSlots, minutes: float, sessions: int) -> dict[str, Any]:
    """Run a server under its clients and tell what it was like."""
    limits = Limits(resume_window_s=_RESUME_WINDOW_S)
    config = ServerConfig(
        port=0,
        max_sessions=sessions + 2,
        connection=ConnectionConfig(limits=limits),
    )
    started = time.monotonic()
    seen: list[Footprint] = []
    async with HintServer(config, catalogue, None, slots=slots) as server:
        gc.collect()
        before = Footprint.now(started)
        clients = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "soak_clients.py"), server.url, next(iter(catalogue))),
            *(str(60 * minutes), str(sessions)),
            stdout=asyncio.subprocess.PIPE,
        )
        driven = asyncio.create_task(clients.communicate())
        while not driven.done():
            await asyncio.wait([driven], timeout=_SAMPLE_S)
            seen.append(Footprint.now(started))
        told, _ = await driven
        if clients.returncode:
            raise SystemExit(f"the clients failed with {clients.returncode}; what they said stands above")
        # Sessions whose clients have gone for good are kept as long as they could come back.
        await asyncio.sleep(_RESUME_WINDOW_S + 3)
        gc.collect()
        after = Footprint.now(started)
    warm_s = min(600.0, 15 * minutes)
    warm = [each for each in seen if each.at_s - before.at_s >= warm_s]
    return {
        "minutes": round((seen[-1].at_s - before.at_s) / 60, 1),
        "concurrent": sessions,
        **json.loads(told),
        "resident_mb": [round(each.resident / MB, 1) for each in (before, (warm or seen)[0], seen[-1], after)],
        "slope_mb_per_hour": round(slope_mb_per_hour(warm), 2),
        "floor_slope_mb_per_hour": round(slope_mb_per_hour(floors(warm)), 2),
        "floors_mb": [round(each.resident / MB, 1) for each in floors(seen)],
        "most_resident_mb": round(max(each.resident for each in seen) / MB, 1),
        "tasks": [before.tasks, after.tasks],
        "sockets": [before.sockets, after.sockets],
        "threads": [before.threads, after.threads],
        "last": asdict(after),
    }


def main() -> None:
    """Run the soak and print its table, or one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=6, help="clients at a time")
    parser.add_argument("--model", type=Path, help="model folder; the bundled one by default")
    parser.add_argument("--glossary", type=Path, default=glossary_path(), help="the bundled one by default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # As `termcue serve` does.
    share_pools()
    slots = ComputeSlots(os.cpu_count() or 1)
    model = for_many(load_model(load_folder(arguments.model)), slots, lambda _: None)
    with tempfile.TemporaryDirectory() as folder, giving_back():
        places = Places(data=Path(folder) / "data", cache=Path(folder) / "cache")
        glossary = open_file(arguments.glossary, model.folder, places)
        catalogue = catalogue_of(model, {glossary.id: glossary})
        found = asyncio.run(soak(catalogue, slots, arguments.minutes, arguments.sessions))
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            if name != "last":
                print(f"{name.replace('_', ' '):24} {value}")
    has_leak = any(end > start for start, end in (found["tasks"], found["sockets"]))
    sys.exit(1 if has_leak or found["errors"] else 0)


if __name__ == "__main__":
    main()
