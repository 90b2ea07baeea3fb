"""A program for `test_killed.py`: does something to a glossary in child processes, each killed one line later.

It prints one JSON line per child: the version that is served after its death, and whether its successor could publish.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from index_builder.publish import load_current, prune, publish, roll_back, versions
from index_builder.testing import built_index
from streaming.durable import STAGING_PREFIX

# Killed at each line of these, where the file system is written to; what only reads is left out.
FILES = ("index_builder/publish/", "streaming/durable.py", "streaming/index/index_folder.py")
READING = ("_parse", "_read", "read", "_render", "_canonical", "_fingerprint", "check_")
OLD, NEW, NEXT = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2, 3))


def _killing_at(step: int) -> Callable[[FrameType, str, Any], Any]:
    lines = count()

    def trace(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401
        code = frame.f_code
        if not any(name in code.co_filename for name in FILES) or code.co_name.startswith(READING):
            return None
        if event == "line" and next(lines) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def _outcome(data_dir: Path) -> dict[str, object]:
    """What readers get after a death, and what the next publisher leaves."""
    index = load_current(data_dir, "acl", "hash-encoder")
    publish(data_dir, "acl", *built_index("catastrophe\n", NEXT))
    home = data_dir / "glossaries" / "acl"
    return {
        "served": index.version,
        "term": index.entries[0].term,
        "next": load_current(data_dir, "acl", "hash-encoder").version,
        "left": sorted(path.name for path in home.rglob(f"{STAGING_PREFIX}*")),
        "whole": sorted(versions(data_dir, "acl")),
    }


def main(action: str, folder: Path) -> None:
    """Kill the action at its first line, at its second, and so on, until it lives to its end."""
    # A killed process loses nothing that the system has; without the waiting, the children take a tenth of the time.
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    template = folder / "template"
    publish(template, "acl", *built_index("plague\n", OLD))
    built = built_index("calamity\n", NEW)
    if action != "publish":
        publish(template, "acl", *built)
    actions: dict[str, Callable[[Path], object]] = {
        "publish": lambda data_dir: publish(data_dir, "acl", *built),
        "rollback": lambda data_dir: roll_back(data_dir, "acl", "hash-encoder"),
        "prune": lambda data_dir: prune(data_dir, "acl", 1),
    }
    for step in count():
        data_dir = folder / "data"
        shutil.rmtree(data_dir, ignore_errors=True)
        shutil.copytree(template, data_dir)
        child = os.fork()
        if not child:
            sys.settrace(_killing_at(step))
            actions[action](data_dir)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(json.dumps({"status": status, **_outcome(data_dir)}) + "\n")
        if status != signal.SIGKILL:
            return


main(sys.argv[1], Path(sys.argv[2]))
