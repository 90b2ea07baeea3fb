"""Checkpoints written whole or not at all, and the sentence for a disk that refuses them."""

import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from streaming.durable import STAGING_PREFIX
from streaming.errors import TermCueError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CheckpointError(TermCueError):
    """A checkpoint that cannot be written, or read, or is of another kind."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any instant leaves the old or the new one whole.

    Raises:
        CheckpointError: the disk refuses; what stood at `path` is as it was.
    """
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staging.open("wb") as stream:
                torch.save(dict(state), stream)
                stream.flush()
                os.fsync(stream.fileno())
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except (OSError, RuntimeError) as cause:
        # torch's writer turns the refusal of a full disk into a RuntimeError.
        raise unwritable(path, cause) from cause


def unwritable(path: Path, cause: BaseException) -> CheckpointError:
    """The sentence for a checkpoint that could not be saved."""
    reason = cause
    while not isinstance(reason, OSError) and reason.__context__ is not None:
        reason = reason.__context__
    why = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(cause)
    kept = "the checkpoint that was there is untouched" if path.is_file() else "nothing was left there"
    room = "Choose another place with --save-path"
    if not isinstance(reason, OSError) or reason.errno in _FULL:
        room = "Make room on that disk, or choose another place with --save-path,"
    cure = f"{room} and give the same command again: it goes on from the last saved state, if there is one."
    return CheckpointError(f"cannot save {path}: {why}; {kept}. {cure}")
