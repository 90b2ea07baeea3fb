"""How the C library hands out memory to the threads of a server, and that it gives back what nobody uses.

glibc gives nearly every thread a pool of its own (up to eight for each core), and what a thread has freed stays in its
pool, in holes between what is still used: each session thread keeps as much as its largest hops ever took, and more
with every day. Nothing here does anything where the C library is another one.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# M_ARENA_MAX of glibc's malloc.h.
_MOST_POOLS = -8
# Giving back takes a few milliseconds, and as many until what is needed again is there again.
_GIVE_BACK_S = 10.0
_LAST_S = 1.0


def share_pools(computing: int | None = None) -> None:
    """Let all threads of this process take their memory from one pool for each that computes at a time.

    To be called before there are other threads. MALLOC_ARENA_MAX, where it is set, is what the user wants.

    Args:
        computing: threads that compute at a time; one for each core by default.
    """
    if "MALLOC_ARENA_MAX" not in os.environ and _is_glibc():
        ctypes.CDLL(None).mallopt(_MOST_POOLS, computing or os.cpu_count() or 1)


@contextmanager
def giving_back(every_s: float = _GIVE_BACK_S) -> Iterator[None]:
    """Inside, the holes in the pools go back to the system every so often, on a thread of its own."""
    if not _is_glibc():
        yield
        return
    stopping, trim = threading.Event(), ctypes.CDLL(None).malloc_trim

    def give_back() -> None:
        while not stopping.wait(every_s):
            trim(0)

    thread = threading.Thread(target=give_back, name="allocator", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_LAST_S)


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):
        # Windows has no confstr, and other C libraries do not know the name.
        return False
