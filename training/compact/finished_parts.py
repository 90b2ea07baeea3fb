"""What a stage has trained, for the stages after it."""

from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from training.compact.recipe import StageError
from training.compact.train_verifier import VerifierModel
from training.loop.checkpoint import CheckpointError
from training.loop.checkpoint_files import read_checkpoint
from training.loop.trained_models import load_weights


def load_part(model: nn.Module, path: Path, stage: str) -> int:
    """Put the weights that a stage ended with into their model; the epochs that it trained."""
    if not path.exists():
        raise StageError(f"there is no {path}: run the stage {stage} first")
    try:
        checkpoint = read_checkpoint(path)
        load_weights(model, checkpoint.weights, path)
    except CheckpointError as error:
        raise StageError(f"{path} is damaged: remove it and run the stage {stage} again") from error
    return checkpoint.epoch


def load_verifier_weights(model: VerifierModel, path: Path, stage: str) -> None:
    """Put a trained verifier into its model. Raises StageError where it has learnt on another encoder than is there."""
    now = deepcopy(model.tower.state_dict())
    load_part(model, path, stage)
    if not all(torch.equal(weight, now[name]) for name, weight in model.tower.state_dict().items()):
        raise StageError(f"{path} was trained on another encoder: remove it and run the stage {stage} again")
    model.eval()
