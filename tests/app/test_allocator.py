"""Threads that share pools of memory, as the C library itself tells of them, and what is given back."""

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.allocator import giving_back, share_pools
from app.commands.demo import demo
from app.commands.serve import serve

# What the commands have imported by then; twelve threads that allocate at a time; the C library's own account.
PROGRAM = """
import ctypes, sys, threading
import numpy
from app.allocator import share_pools

if sys.argv[1] != "own":
    share_pools(int(sys.argv[1]))
meeting = threading.Barrier(12)

def work():
    blocks = [bytes(size) for size in range(1000, 100_000, 1000)]
    meeting.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stdout = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""

# 100 MB below one block that stays, as the work of many sessions below a message that is kept.
HOLES = """
import os, sys, threading, time
from pathlib import Path
from app.allocator import giving_back

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

blocks = [bytearray(b"x" * 100_000) for _ in range(1000)]
kept = bytearray(b"x" * 100_000)
del blocks
before = resident_mb()
with giving_back(float(sys.argv[1])):
    deadline = time.monotonic() + 5
    while resident_mb() > before - 50 and time.monotonic() < deadline:
        time.sleep(0.02)
    print(before - resident_mb())
print(threading.active_count())
"""
ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives threads pools of their own")


def _pools(share: str, **environment: str) -> int:
    """How many pools there are after the program."""
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    command = [sys.executable, "-c", PROGRAM, share]
    done = subprocess.run(command, env=plain | environment, capture_output=True, check=True, timeout=60)
    return done.stdout.count(b"<heap nr=")


@ON_GLIBC
def test_threads_share_pools() -> None:
    """By themselves they do not; what the user has set holds."""
    assert _pools("own") > 4
    assert _pools("2") == 2
    assert _pools("2", MALLOC_ARENA_MAX="4") == 4


@ON_GLIBC
def test_holes_are_given_back() -> None:
    """By themselves they stay, and no thread does."""
    for every_s, least, most in (("60", -1.0, 20.0), ("0.05", 50.0, 150.0)):
        command = [sys.executable, "-c", HOLES, every_s]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
        freed_mb, threads = map(float, done.stdout.split())
        assert least <= freed_mb <= most
        assert threads == 1


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl, macOS and Windows have no such pools, and some have no such function."""

    def unknown(_: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr("os.confstr", unknown)
    monkeypatch.setattr("ctypes.CDLL", None)
    share_pools()
    with giving_back(0.0):
        assert [thread.name for thread in threading.enumerate() if thread.name == "allocator"] == []


def test_the_servers_share_pools_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later there are threads that have taken theirs."""
    asked: list[int | None] = []
    monkeypatch.setattr("app.allocator.share_pools", lambda computing=None: asked.append(computing))
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert CliRunner().invoke(serve, ["--threads", "3", "--data-dir", str(tmp_path)]).exit_code == 2
    assert CliRunner().invoke(demo, []).exit_code == 1
    assert asked == [3, None]
