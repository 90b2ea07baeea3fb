"""Toy runs that are broken off, and what is compared of them."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import torch

from training.loop.checkpoint_files import read_checkpoint
from training.loop.config import TrainConfig
from training.loop.ports import Batch
from training.loop.testing import toy_config, toy_parts
from training.loop.trainer import Trainer


class Broken(Exception):
    """Stands for a kill: nothing is saved on the way out."""


@dataclasses.dataclass(frozen=True)
class BreakingBatches:
    """The batches of another, broken off before a step counted over all epochs."""

    inner: object
    at: int
    error: type[BaseException] = Broken

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        for step, batch in enumerate(self.inner(epoch, skip), epoch * len(self) + skip):  # type: ignore[operator]
            if step == self.at:
                raise self.error
            yield batch


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """What a checkpoint holds."""
    return dict(read_checkpoint(path).weights)


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit by bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def run_whole(folder: Path, **run: object) -> dict[str, torch.Tensor]:
    """The weights after an unbroken run."""
    config = toy_config(folder, **run)
    return weights_of(Trainer(config, toy_parts()).run().checkpoint)


AVERAGED = {"average": 0.9, "evaluate_every_steps": 3, "judged_by": "loss", "early_stop_patience": 0}


def averaged_config(folder: Path, **run: object) -> TrainConfig:
    """Averaged weights, a cosine, and evaluations within an epoch."""
    config = toy_config(folder, **{**AVERAGED, **run})
    return dataclasses.replace(config, optimiser=dataclasses.replace(config.optimiser, schedule="cosine"))


def evaluations(folder: Path) -> list[dict[str, float]]:
    """The rows of evaluations in the log of a run."""
    rows = [json.loads(line) for line in (folder / "logs/toy_full.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "evaluation"]
