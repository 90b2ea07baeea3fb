"""Runs `termcue train` and `termcue pipeline`, with another training in the place of the real one."""

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from click.testing import CliRunner, Result

from app.commands.train import train
from training.loop.checkpoint_files import Checkpoint, write_checkpoint
from training.loop.checkpoint_paths import best_path
from training.loop.config import TrainConfig
from training.loop.ports import Outcome, Progress
from training.loop.settings import read
from training.loop.trained_models import trained_weights
from training.models.retriever import build_retriever


@dataclass
class Training:
    """Stands for `training.loop.assemble`: writes an untrained model, or fails."""

    seen: list[TrainConfig] = field(default_factory=list)
    error: BaseException | None = None

    def run_training(self, config: TrainConfig, progress: Progress | None = None) -> Outcome:
        self.seen.append(config)
        if self.error is not None:
            raise self.error
        logging.getLogger("training.loop").info("a step")
        if progress is not None:
            progress(3, 3)
        torch.manual_seed(1)
        weights = trained_weights(build_retriever(config.model), config.model)
        best = best_path(config.run, config.data.single_slice)
        for path in (config.run.save_path, best):
            write_checkpoint(path, Checkpoint(config, weights, 3, 1, {"recall@10": 0.5}))
        return Outcome(config.run.save_path, best, 3, 1, {"recall@10": 0.5}, "epochs")


def call(command: Any, *arguments: str, fails: bool = False) -> Result:  # noqa: ANN401 - a click command
    """Run a command; what it raises is raised here unless it is to fail."""
    return CliRunner().invoke(command, list(arguments), catch_exceptions=fails)


def settings(*arguments: str, command: Any = train) -> TrainConfig:  # noqa: ANN401
    """The settings of a command line of `termcue train`."""
    result = call(command, *arguments, "--show-settings", "--json")
    assert result.exit_code == 0, result.stderr
    return read(json.loads(result.stdout))
