"""What breaks when something breaks: faults under live sessions, and whether a hint is lost or doubled.

    python tests/benchmarks/faults.py                       # all cases; prints a table; needs no data
    python tests/benchmarks/faults.py --cases kill cut fuzz --sessions 8 --frames 10000 --json

Sessions stream the bundled recordings in real time to a server process, with the client that ships:

  kill      SIGKILL in mid speech, and a start on the same port
  cut       the network passes nothing for 5 s, in the middle of a term; then the connections are dead
  model     every file of the model folder is replaced by other bytes
  glossary  the file of the glossary is deleted
  disk      recordings fill a disk of 64 kB (a tmpfs, where it may be mounted)
  clock     the server's wall clock jumps by an hour at every look
  fuzz      other connections send malformed frames in every state of theirs

Each is compared with the same sessions without a fault, by term and place in the audio (0.1 s). `untyped` counts
connections that ended abnormally without an Error before, where the server was there to say one.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Run as a file, this folder comes first on the path, and a module in it would stand for the package of its name.
_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parents[1]), *(f for f in sys.path if Path(f or ".").resolve() != _FOLDER)]
# As in the command: numpy takes the number of its threads when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.samples import glossary_path, recordings
from streaming.audio import AudioFormat
from streaming.client import StreamOptions, stream_hints
from streaming.errors import TermCueError
from streaming.model_folder import BUNDLED
from streaming.protocol import TermHint
from streaming.sources import FileSource, RealTimeSource
from streaming.testing import ListSource
from tests.benchmarks.faults_fuzz import fuzz
from tests.benchmarks.faults_server import Network, ServerProcess, serve

_FORMAT = AudioFormat()
_CHUNK_BYTES = 3200
_SAME_PLACE_S = 0.1
Spoken = tuple[str, float]


@dataclass(slots=True)
class Heard:
    """What one session heard."""

    hints: list[Spoken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One case."""

    case: str
    sessions: int
    hints: int
    lost: int
    doubled: int
    errors: int
    untyped: int
    server: str
    remark: str


def speech() -> bytes:
    """The bundled recordings, parted by silence."""
    return b"".join(b"".join(FileSource(each.path).chunks()) + bytes(16_000) for each in recordings())


async def listen(url: str, audio: bytes, delay_s: float) -> Heard:
    """One session in real time."""
    heard = Heard()
    await asyncio.sleep(delay_s)
    chunks = [audio[i : i + _CHUNK_BYTES] for i in range(0, len(audio), _CHUNK_BYTES)]
    source = RealTimeSource(ListSource(_FORMAT, chunks))
    options = StreamOptions(glossary="faults", vad_events=False, target_lang="de", notify=heard.notes.append)
    try:
        async for message in stream_hints(url, source.chunks(), options):
            if isinstance(message, TermHint) and message.is_final:
                heard.hints.append((message.term, message.start))
    except TermCueError as error:
        heard.error = str(error)
    return heard


def compare(expected: list[Spoken], heard: list[Spoken]) -> tuple[int, int]:
    """How many hints are lost, and how many are there once too often or where none belongs."""
    left, lost = list(heard), 0
    for term, start in expected:
        match = next((one for one in left if one[0] == term and abs(one[1] - start) <= _SAME_PLACE_S), None)
        if match is None:
            lost += 1
        else:
            left.remove(match)
    return lost, len(left)


Fault = Callable[["Scene"], Coroutine[Any, Any, str]]


@dataclass(slots=True)
class Scene:
    """Where a fault happens."""

    server: ServerProcess
    network: Network
    folder: Path
    frames: int
    untyped: int = 0


async def kill(scene: Scene) -> str:
    """SIGKILL and a new start."""
    await asyncio.sleep(9.3)
    scene.server.kill()
    await asyncio.to_thread(scene.server.start)
    return "killed after 9.3 s"


async def cut(scene: Scene) -> str:
    """Nothing passes for 5 s; 9.2 s is within "ill-disposed" for the first session."""
    await asyncio.sleep(9.2)
    await scene.network.cut(5.0)
    return "cut from 9.2 s to 14.2 s"


async def model(scene: Scene) -> str:
    """Other bytes in every file of the model folder, by rename as an installer does it."""
    await asyncio.sleep(8)
    replaced = 0
    for path in sorted((scene.folder / "model").iterdir()):
        other = path.with_suffix(".other")
        other.write_bytes(os.urandom(1000))
        other.replace(path)
        replaced += 1
    return f"{replaced} files replaced"


async def glossary(scene: Scene) -> str:
    """The file is gone."""
    await asyncio.sleep(8)
    (scene.folder / "faults.csv").unlink()
    return "deleted after 8 s"


async def disk(scene: Scene) -> str:
    """The disk of the recordings fills by itself."""
    await asyncio.sleep(30)
    usage = shutil.disk_usage(scene.folder / "recordings")
    return f"{usage.free} bytes free of {usage.total}"


async def clock(_: Scene) -> str:
    """The clock jumps all the time."""
    return "jumps of 1 h at every look"


async def fuzzing(scene: Scene) -> str:
    """Malformed frames from others."""
    result = await fuzz(scene.server.url, scene.frames)
    scene.untyped = result.untyped
    return f"{result.frames} frames over {result.connections} connections, {result.typed} typed errors"


CASES: dict[str, Fault] = {
    "kill": kill,
    "cut": cut,
    "model": model,
    "glossary": glossary,
    "disk": disk,
    "clock": clock,
    "fuzz": fuzzing,
}


async def run(case: str | None, sessions: int, frames: int) -> tuple[list[Heard], str, int, bool]:
    """All sessions once, with a fault or without one."""
    audio = speech()
    with (
        tempfile.TemporaryDirectory() as name,
        small_disk(Path(name) / "recordings", is_wanted=case == "disk") as mounted,
    ):
        folder = Path(name)
        shutil.copytree(BUNDLED, folder / "model")
        shutil.copy(glossary_path(), folder / "faults.csv")
        if case == "disk" and not mounted:
            return [], "not run: no tmpfs may be mounted here", 0, True
        record = folder / "recordings" if case == "disk" else None
        server = ServerProcess(folder / "model", folder / "faults.csv", record, jumps=case == "clock")
        await asyncio.to_thread(server.start)
        try:
            async with Network(server.port) as network:
                scene = Scene(server, network, folder, frames)
                url = f"ws://127.0.0.1:{network.port}/v1/hints"
                fault = asyncio.create_task(CASES[case](scene)) if case else None
                heard = await asyncio.gather(
                    *(listen(url, audio, 0.32 * number / sessions) for number in range(sessions))
                )
                remark = "" if fault is None else await fault
                is_alive = server.is_alive and await asyncio.to_thread(server.health) == 200
        finally:
            server.stop()
    return list(heard), remark, scene.untyped, is_alive


@contextmanager
def small_disk(folder: Path, *, is_wanted: bool) -> Iterator[bool]:
    """A disk of 64 kB at a folder, where it is wanted and may be mounted; whether it is there."""
    is_mounted = False
    if is_wanted:
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Every case, compared with sessions that nothing happens to."""
    calm, _, _, _ = asyncio.run(run(None, 1, 0))
    expected = calm[0].hints
    for case in given.cases:
        heard, remark, untyped, is_alive = asyncio.run(run(case, given.sessions, given.frames))
        differences = [compare(expected, each.hints) for each in heard]
        for text in sorted({each.error for each in heard if each.error})[:3]:
            sys.stderr.write(f"{case}: {text}\n")
        yield Row(
            case=case,
            sessions=len(heard),
            hints=sum(len(each.hints) for each in heard),
            lost=sum(lost for lost, _ in differences),
            doubled=sum(doubled for _, doubled in differences),
            errors=sum(each.error is not None for each in heard),
            untyped=untyped,
            server="lives" if is_alive else "DEAD",
            remark=remark,
        )


def main() -> None:
    """Run the cases and print the table."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:7])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), help="which")
    parser.add_argument("--sessions", type=int, default=8, help="live sessions in each case (default %(default)s)")
    parser.add_argument("--frames", type=int, default=10_000, help="malformed frames (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    if not given.json:
        print(" ".join(f"{name:>8}" for name in Row.__dataclass_fields__))
    for row in rows(given):
        values = asdict(row)
        print(json.dumps(values) if given.json else " ".join(f"{value!s:>8}" for value in values.values()), flush=True)


if __name__ == "__main__":
    main()
