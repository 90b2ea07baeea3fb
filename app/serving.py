"""What `termcue serve` wires beside the server itself: its log, its measure of the machine, and recordings."""

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.loaded_model import Model
from streaming.errors import RecordingError
from streaming.events import SAMPLE_RATE
from streaming.sessions.recording import SessionRecorder

# What all stages of a hop cost for each second of the encoder: one that hears blocks has the smaller share.
_STAGES_OF_BLOCKS, _STAGES_OF_CONTEXTS = 2.2, 1.5


def set_up_server_log(log_format: str) -> None:
    """Give the lines of the log their time: as text, or one JSON object each with the fields of the event."""
    from pythonjsonlogger.json import JsonFormatter

    formatter: logging.Formatter = logging.Formatter(
        "%(asctime)s termcue: %(levelname)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    if log_format == "json":
        names = " ".join(f"%({name})" for name in ("asctime", "levelname", "name", "message"))
        formatter = JsonFormatter(
            names,
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            json_ensure_ascii=False,
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], force=True, level=logging.getLogger().level)


def sessions_held(model: Model, threads: int) -> int:
    """About how many people may speak at a time on this machine, by what the encoder needs for a hop.

    A third of the machine is left for other work.
    """
    context = np.random.default_rng(0).standard_normal(model.folder.spec.context_samples).astype(np.float32) * 0.1
    stream, passes = model.frames.open(), []
    for hop in range(1, 8):
        started = time.perf_counter()
        stream.encode(context, hop * model.hop_ms * SAMPLE_RATE // 1000)
        passes.append(time.perf_counter() - started)
    stages = _STAGES_OF_BLOCKS if model.folder.spec.blocks else _STAGES_OF_CONTEXTS
    per_stream = stages * float(np.median(passes)) / (model.hop_ms / 1000)
    return max(1, int(threads / per_stream / 1.5))


def make_recordings_folder(folder: Path) -> None:
    """Make the folder of recordings where there is none, and try whether sessions can have folders in it.

    A server that finds that out with its first session would lose it: a recording that fails stops no session.

    Raises:
        RecordingError: they cannot.
    """
    try:
        # Speech and what was said of it: for their owner alone.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        raise RecordingError(
            f"sessions cannot be recorded in {folder} ({error.strerror or error}); give --record a folder that can be "
            f"made and written to"
        ) from error


def recorder_into(folder: Path, model: Model) -> Callable[[str, str, str], SessionRecorder]:
    """Makes the recorder of a session, in a folder of its own inside `folder`."""

    def record(session_id: str, query: str, glossary_version: str) -> SessionRecorder:
        encoder_id = model.folder.encoder_id
        return SessionRecorder.open(folder, session_id, query, encoder_id, glossary_version, hop_ms=model.hop_ms)

    return record
