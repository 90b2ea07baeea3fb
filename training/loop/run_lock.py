"""One run at a time for each save path: a lock beside the checkpoint, released by the kernel when its holder dies."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streaming.errors import SettingError
from training.loop.checkpoint import unwritable
from training.loop.config import RunConfig

_LOG = logging.getLogger(__name__)
_TAKEN = frozenset({errno.EACCES, errno.EAGAIN})


def lock_path(run: RunConfig) -> Path:
    """Beside the checkpoint: ..._full.lock."""
    return run.save_path.with_name(f"{run.save_path.stem}.lock")


@contextmanager
def run_lock(run: RunConfig) -> Iterator[None]:
    """Hold the lock of a save path inside. For the first rank.

    A record lock, not `flock`: the processes that read audio would inherit that one and outlive a killed run with it.

    Raises:
        SettingError: another run holds it.
        CheckpointError: nothing can be written there.
    """
    path = lock_path(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as cause:
        raise unwritable(path, cause) from cause
    with stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                raise SettingError(
                    f"another run trains to {run.save_path} just now (it holds {path}); wait for its end, or give "
                    "another --save-path."
                ) from error
            _LOG.warning("%s cannot be locked (%s); start no second run with this --save-path", path, error)
        yield
