"""The index of glossaries of four sizes: build, rebuild after an edit, size, load, search of a hop, recall.

    python tests/benchmarks/index.py [--sizes 1000,10000,100000] [--drawn 1000000] [--work DIR] [--json]

Terms are one to three random words of the model's lexicon and go the whole way: file, reading, pronouncer, text tower,
background statistics, cache, search, folder. The edit changes one term in a hundred.

A build of `--drawn` takes its vectors from the tower's distribution instead (a real vector and a third of the
difference of two others) and the same statistics for all forms, so that a million take no quarter of an hour; the rest
of the way is as it is. What text tower and statistics would have added is extrapolated, from batches that are as the
build makes them, and stands in a column of its own; all else is measured. The rebuild draws nothing: it finds in the
cache what the build left there, and computes the forms of the edited terms with the model.

A hop asks for the ten forms nearest to each of 64 spans, which are of the bundled recordings. Each index is loaded and
searched in a process of its own, on one thread; the peak of its memory counts the mapped files. Times are of the wall,
and of the processor beside them: on a busy machine they differ.
"""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Run as a file, its own folder comes first, whose modules would stand for packages of their names, and ours is missing.
_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parents[1]), *(f for f in sys.path if Path(f or ".").resolve() != _FOLDER)]

import faiss
import numpy as np
from numpy.typing import NDArray

from index_builder.exact_neighbours import exact_neighbours
from index_builder.index_tuning import NEIGHBOURS
from streaming.term_index import TermIndex
from tests.benchmarks.index_making import Maker, Stopwatch
from tests.benchmarks.index_table import Row, table


def measure(maker: Maker, n: int, *, drawn: bool) -> Row:
    """Build, edit, load and search a glossary of that many terms."""
    terms, folder = maker.terms(n, n), maker.work / f"index-{n}"
    build, again = Stopwatch(), Stopwatch()
    tower = maker.tower() if drawn else None
    with build.run():
        index = maker.real(terms, folder) if tower is None else maker.drawn(terms, folder, tower)
    extrapolated = maker.model_seconds(index.forms) if drawn else None
    facts, forms = index.search_facts, len(index.forms)
    # No rebuild has the last one's index in memory.
    del index, tower
    # The same draws begin with the same terms; what follows is new.
    new = maker.terms(n + -(-n // 100), n)[n:]
    edited = [new[i // 100] if i % 100 == 0 else term for i, term in enumerate(terms)]
    with again.run():
        index = maker.real(edited, maker.work / f"edited-{n}")
    del index
    hops = maker.hops()
    found = _in_own_process(maker, folder, hops)
    vectors = TermIndex.load(folder, maker.folder.encoder_id).vectors
    nearest, _ = exact_neighbours(vectors, hops.reshape(-1, hops.shape[-1]), NEIGHBOURS)
    ids = np.array(found["ids"])
    return Row(
        terms=n,
        forms=forms,
        drawn=drawn,
        search=f"{facts.kind}, {facts.axes} axes, {facts.probes} of {facts.lists} lists" if facts.axes else facts.kind,
        build=build.seconds,
        embed=None if drawn else maker.embed_seconds(terms),
        extrapolated=extrapolated,
        rebuild=again.seconds,
        folder_mb=sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        load=(found["load"][0], found["load"][1]),
        hop_ms=(found["hop_ms"][0], found["hop_ms"][1]),
        recall=float((ids[:, :, None] == nearest[:, None, :]).any(axis=2).mean()),
        promised_recall=facts.recall,
        peak_mb=found["peak_mb"],
    )


def _in_own_process(maker: Maker, folder: Path, hops: NDArray[np.float32]) -> dict[str, Any]:
    queries = maker.work / "hops.npy"
    np.save(queries, hops)
    command = [sys.executable, __file__, "--search", str(folder), str(queries), maker.folder.encoder_id]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def search_alone(folder: Path, queries: Path, encoder_id: str) -> None:
    """Load, search hop by hop, read the entries found, and print what it took."""
    faiss.omp_set_num_threads(1)
    load, walls, processors, ids = Stopwatch(), [], [], []
    with load.run():
        index = TermIndex.load(folder, encoder_id)
    hops = np.load(queries)
    for hop in [*hops[:2], *hops]:
        one = Stopwatch()
        with one.run():
            found, _ = index.search(hop, NEIGHBOURS)
        walls.append(1000 * one.seconds[0])
        processors.append(1000 * one.seconds[1])
        ids.append(found)
    for form in np.unique(ids[-1]):
        assert index.entries[index.forms[int(form)].entry_index].term
    measured = {
        "load": load.seconds,
        "hop_ms": (float(np.median(walls[2:])), float(np.median(processors[2:]))),
        "ids": np.concatenate(ids[2:]).tolist(),
        "peak_mb": _peak_mb(),
    }
    print(json.dumps(measured))


def _peak_mb() -> float:
    """Of this program; `getrusage` would also count the larger one that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--drawn", default="1000000")
    parser.add_argument("--work", type=Path, help="an empty folder for caches and indexes; a temporary one without")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--search", nargs=3, metavar=("FOLDER", "QUERIES", "ENCODER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.search:
        search_alone(Path(asked.search[0]), Path(asked.search[1]), asked.search[2])
        return
    if asked.work is not None:
        asked.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.work) as work:
        maker, rows = Maker(Path(work)), []
        sizes = [(int(n), False) for n in filter(None, asked.sizes.split(","))]
        for n, drawn in [*sizes, *((int(n), True) for n in filter(None, asked.drawn.split(",")))]:
            # Sizes do not share what they have computed.
            for left in (Path(work) / "forms").glob("*.sqlite"):
                left.unlink()
            rows.append(measure(maker, n, drawn=drawn))
            if asked.json:
                print(json.dumps(dataclasses.asdict(rows[-1])), flush=True)
    if not asked.json:
        print(table(rows))


if __name__ == "__main__":
    main()
