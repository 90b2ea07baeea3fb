"""Memory and speed of merging and reading a manifest of term-level chunks, on one that this makes up.

    python tests/benchmarks/corpus.py [--gigabytes 5] [--shards 8] [--work DIR] [--json]

Shards are written, merged into one JSON list without their repeated rows, and read as examples. MB/s are of the file
read; the peak is of the whole process, libraries included.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

from training.corpus.merge import merge_rows
from training.corpus.rows import read_examples

_REPEATED_EVERY = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage: what it made, how long it took, and the peak of the process in MB when it ended."""

    stage: str
    rows: int
    megabytes: float
    seconds: float
    peak_mb: float


def write_shards(folder: Path, total_bytes: int, shards: int) -> tuple[int, int]:
    """Shards of about `total_bytes` together, every fiftieth row twice; gives (rows, those that are repeated)."""
    rows = repeated = 0
    for shard in range(shards):
        with (folder / f"term_level_chunks_{shard}.json").open("w", encoding="utf-8") as stream:
            stream.write("[\n")
            written = 2
            while written < total_bytes / shards:
                row = json.dumps(_row(rows), ensure_ascii=False)
                again = 1 + (rows % _REPEATED_EVERY == 0)
                for _ in range(again):
                    stream.write(row if written == 2 else ",\n" + row)
                    written += len(row) + 2
                rows += 1
                repeated += again - 1
            stream.write("\n]\n")
    return rows, repeated


def _row(number: int) -> dict[str, object]:
    segment = f"POD{number // 400:010d}_S{number % 400:07d}"
    start = 1.0 + number % 97 / 10
    return {
        "segment_id": segment,
        "term_chunk_audio": f"audio/{segment}_term_Kalman_filter_{start:.2f}_{start + 0.68:.2f}_ctx1.0s.wav",
        "term_chunk_text": f"so in sentence {number} we use a kalman filter to smooth it and look at what comes out of it",
        "term_chunk_audio_ground_truth_terms": ["Kalman filter"],
        "term_start_time": start,
        "term_end_time": start + 0.68,
        "term_start_time_abs": start,
        "term_end_time_abs": start + 0.68,
        "term_duration": 0.68,
        "extended_start_time": start - 1.0,
        "extended_end_time": start + 1.68,
        "extended_duration": 2.68,
        "context_seconds": 1.0,
        "actual_extended_start": start - 1.0,
        "actual_extended_end": start + 1.68,
    }


def measure(folder: Path, total_bytes: int, shards: int) -> Iterator[Measured]:
    """The three stages in a folder."""
    source, merged = folder / "shards", folder / "merged.json"
    source.mkdir()
    started = time.perf_counter()
    rows, _ = write_shards(source, total_bytes, shards)
    size = sum(file.stat().st_size for file in source.iterdir()) / 1e6
    yield Measured("generate", rows, size, time.perf_counter() - started, peak_mb())
    started = time.perf_counter()
    counts = merge_rows([source], merged)
    yield Measured("merge", counts.rows, size, time.perf_counter() - started, peak_mb())
    started = time.perf_counter()
    read = sum(1 for _ in read_examples([merged]))
    yield Measured("read", read, merged.stat().st_size / 1e6, time.perf_counter() - started, peak_mb())


def peak_mb() -> float:
    """Largest resident size of this process so far."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size / 1e3


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--work", type=Path, help="folder with room for twice as much; its contents are removed again")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"{'stage':10}{'rows':>12}{'MB':>10}{'seconds':>10}{'MB/s':>8}{'peak MB':>10}")
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        for row in measure(Path(folder), int(arguments.gigabytes * 1e9), arguments.shards):
            rate = row.megabytes / row.seconds
            if arguments.json:
                print(json.dumps({"stage": row.stage, "rows": row.rows, "mb_per_s": rate, "peak_mb": row.peak_mb}))
            else:
                print(
                    f"{row.stage:10}{row.rows:12}{row.megabytes:10.0f}{row.seconds:10.1f}{rate:8.1f}{row.peak_mb:10.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
