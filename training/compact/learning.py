"""The trainings of the compact recipe on the loop of all retrievers: one part at a time, each with a checkpoint."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from training.loop.checkpoint_files import Checkpoint, read_checkpoint
from training.loop.config import ModelConfig, OptimiserConfig, RunConfig, TrainConfig
from training.loop.ports import Parts
from training.loop.trainer import Trainer


def train_part(
    part: Literal["g2p", "alignment", "spans", "verifier", "blocks"],
    parts: Parts,
    optimiser: OptimiserConfig,
    run: RunConfig,
) -> Checkpoint:
    """Run (or go on with) the training of a part; one that is finished is only read.

    Args:
        part: its name.
        parts: what is trained, on what, for what.
        optimiser: rates; what falls along a cosine, and decays, is everything.
        run: how long and where to; logs go beside the checkpoint, and only its last weights count.

    Raises:
        CheckpointError: what is there is damaged, or the disk refuses.
        Stopped: a signal asked for it; the state is saved.
    """
    if run.save_path.exists():
        before = read_checkpoint(run.save_path)
        if before.step >= run.epochs * len(parts.batches):
            return before
    config = TrainConfig(
        # No pretrained model stands behind the checkpoint: it holds all weights of the part.
        model=ModelConfig("whisper", "", "characters", part=part),
        optimiser=replace(optimiser, schedule="cosine", decay_all=True),
        run=replace(run, logs=run.save_path.parent, early_stop_patience=0, keep_epochs=False),
    )
    Trainer(config, parts).run()
    return read_checkpoint(run.save_path)


def part_file(folder: Path, part: str) -> Path:
    """Where the finished part lies in the folder of its stage."""
    return folder / f"{part}.pt"
