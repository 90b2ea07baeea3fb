"""Stages one after the other, told on standard error and in one log file; the first that fails ends them."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from training.loop.logs import PIPELINE_LOG, stamp, written_to

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a pipeline; `run` returns a sentence on what came of it."""

    name: str
    run: Callable[[], str]


Told: TypeAlias = Callable[[str], None]


def run_stages(stages: Sequence[Stage], logs: Path, say: Told) -> Path:
    """Run all stages; returns the log file.

    Args:
        stages: in order.
        logs: folder of qwen2_audio_term_level_pipeline_*.log, which also gets what `training` logs meanwhile.
        say: shows one line of progress.

    Raises:
        Exception: what a stage raised, after it was logged.
    """
    file = logs / f"{PIPELINE_LOG}_{stamp()}.log"
    with written_to({file: logging.INFO}):
        for number, stage in enumerate(stages, 1):
            title = f"stage {number} of {len(stages)}, {stage.name}"
            say(title)
            began = time.monotonic()
            try:
                outcome = stage.run()
            except KeyboardInterrupt as stop:
                _LOG.warning("%s: stopped after %.1f s: %s", title, time.monotonic() - began, str(stop) or "asked to")
                raise
            except BaseException as error:
                seconds, kind = time.monotonic() - began, type(error).__name__
                _LOG.error("%s: failed after %.1f s: %s: %s", title, seconds, kind, error)
                raise
            _LOG.info("%s: done in %.1f s: %s", title, time.monotonic() - began, outcome)
    return file
