"""From a model to the weights that a checkpoint holds of it, and back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn

from training.loop.checkpoint import CheckpointError
from training.loop.checkpoint_files import read_checkpoint
from training.loop.config import ModelConfig, TrainConfig
from training.loop.sharding import put, whole

if TYPE_CHECKING:
    from training.models.retriever import DualEncoder

_Model = TypeVar("_Model", bound=nn.Module)


def trained_weights(model: nn.Module, config: ModelConfig) -> dict[str, Tensor]:
    """Name -> whole tensor, on the CPU, of what the settings alone do not bring back. All ranks must call it."""
    everything = not config.model_name
    found = {name: parameter for name, parameter in model.named_parameters() if everything or parameter.requires_grad}
    return {name: whole(value.detach()).cpu().contiguous() for name, value in found.items()}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put trained weights into a model that was built from the same settings.

    Raises:
        CheckpointError: a weight without a place, of another shape, or one that should have been there.
    """
    places = dict(model.named_parameters())
    unknown = [name for name in weights if name not in places]
    missing = [name for name, place in places.items() if place.requires_grad and name not in weights]
    other = [
        f"{name} {list(weights[name].shape)} instead of {list(places[name].shape)}"
        for name in weights
        if name in places and weights[name].shape != places[name].shape
    ]
    if unknown or missing or other:
        what = [("unknown", unknown), ("missing", missing), ("of another shape", other)]
        faults = "; ".join(f"{len(found)} {kind}, such as {found[0]}" for kind, found in what if found)
        raise CheckpointError(
            f"{path} is a checkpoint of another architecture ({faults}); the base model must be the one that it was "
            "trained on, and --dim, --text-tower and --lora the same."
        )
    for name, value in weights.items():
        put(places[name], value)


def load_model(path: Path, build: Callable[[TrainConfig], _Model]) -> _Model:
    """The model of a checkpoint, for evaluation (dropout off).

    Args:
        path: the file or folder.
        build: settings -> the model with its pretrained weights.

    Raises:
        CheckpointError: it cannot be read or does not fit.
    """
    checkpoint = read_checkpoint(path)
    model = build(checkpoint.config)
    load_weights(model, checkpoint.weights, path)
    model.train(False)
    return model


def load_retriever(path: Path, *, offline: bool = False) -> "DualEncoder":
    """The retriever of a checkpoint, for evaluation.

    Args:
        path: the file or folder.
        offline: read the pretrained base from local files only, whatever the settings in the checkpoint say.

    Raises:
        CheckpointError: it cannot be read, does not fit or is a part of a retriever.
        ModelError: the pretrained base does not load.
    """
    from training.models.retriever import build_retriever

    def build(config: TrainConfig) -> "DualEncoder":
        if config.model.part:
            raise CheckpointError(
                f"{path} is the part {config.model.part} of a compact retriever, which does not serve alone; "
                "`python -m training.compact export` puts the parts together."
            )
        model = replace(config.model, offline=config.model.offline or offline)
        return build_retriever(model, config.run.precision)

    return load_model(path, build)
