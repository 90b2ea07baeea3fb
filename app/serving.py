"""What `termcue serve` wires beside the server itself: its log, and recordings."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from streaming.model_folder import ModelFolder
from streaming.recording import SessionRecorder


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


def recorder_into(folder: Path, model: ModelFolder) -> Callable[[str, str, str], SessionRecorder]:
    """Makes the recorder of a session, in a folder of its own inside `folder`."""

    def record(session_id: str, query: str, glossary_version: str) -> SessionRecorder:
        return SessionRecorder.open(folder, session_id, query, model.encoder_id, glossary_version)

    return record
