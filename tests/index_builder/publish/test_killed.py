"""Whatever line a publisher is killed at, or whatever the disk refuses, readers are served a whole version."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from index_builder.publish import load_current, prune, publish, roll_back
from index_builder.testing import built_index
from streaming.errors import IndexFolderError

OLD, NEW, NEXT = (f"20261014T09120{second}Z-0123456789ab" for second in (1, 2, 3))
WRITES = ("mkdir", "open", "rename", "replace", "fsync", "pwrite", "ftruncate")
PROGRAM = Path(__file__).with_name("killed_at_every_line.py")


def _killed(action: str, folder: Path) -> list[dict[str, Any]]:
    """The outcomes of the action killed at each of its lines; the last one lived."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), action, str(folder)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [outcome["status"] for outcome in outcomes] == [signal.SIGKILL] * (len(outcomes) - 1) + [0]
    return outcomes


@pytest.mark.parametrize(
    ("action", "before", "after", "lost"),
    [("publish", OLD, NEW, ()), ("rollback", NEW, OLD, ()), ("prune", NEW, NEW, (OLD,))],
)
def test_killed_at_any_line_a_whole_version_is_served(
    tmp_path: Path, action: str, before: str, after: str, lost: tuple[str, ...]
) -> None:
    """The old version is served up to one line and the new one after it; the next publisher finds nothing in its way."""
    outcomes = _killed(action, tmp_path)
    served = [outcome["served"] for outcome in outcomes]
    changed = served.index(after)
    assert served == [before] * changed + [after] * (len(served) - changed)
    assert all(outcome["term"] == {OLD: "plague", NEW: "calamity"}[outcome["served"]] for outcome in outcomes)
    assert all(outcome["next"] == NEXT and outcome["left"] == [] for outcome in outcomes)
    assert outcomes[-1]["whole"] == [version for version in (OLD, NEW, NEXT) if version not in lost]
    assert len(outcomes) > 20, "the lines of the publisher were not traced"


@contextmanager
def _refusing(step: int) -> Iterator[list[str]]:
    """The call of the system number `step` that writes fails for want of space; gives the calls that were made."""
    calls: list[str] = []
    failing = pytest.MonkeyPatch()

    def refuse(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*given: Any, **options: Any) -> Any:  # noqa: ANN401
            calls.append(name)
            if len(calls) - 1 == step:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(*given, **options)

        return attempt

    for name in WRITES:
        failing.setattr(os, name, refuse(name, getattr(os, name)))
    failing.setattr(io, "open", refuse("io.open", io.open))
    try:
        yield calls
    finally:
        failing.undo()


@pytest.mark.parametrize("action", ["publish", "rollback", "prune"])
def test_refused_by_the_disk_at_any_call_a_whole_version_is_served(tmp_path: Path, action: str) -> None:
    """A full disk at any call gives one sentence, or a version that is fit to be served; never anything between."""
    for step in count():
        data_dir = tmp_path / str(step)
        publish(data_dir, "acl", *built_index("plague\n", OLD))
        built = built_index("calamity\n", NEW)
        if action != "publish":
            publish(data_dir, "acl", *built)
        with _refusing(step) as calls:
            try:
                if action == "publish":
                    publish(data_dir, "acl", *built)
                elif action == "rollback":
                    roll_back(data_dir, "acl", "hash-encoder")
                else:
                    prune(data_dir, "acl", 1)
            except IndexFolderError as error:
                assert str(data_dir) in str(error)  # noqa: PT017
        assert load_current(data_dir, "acl", "hash-encoder").version in (OLD, NEW)
        if len(calls) <= step:
            break
    assert step > 5
