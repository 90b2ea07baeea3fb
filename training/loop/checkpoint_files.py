"""Checkpoints of retrievers: what the files are called, what is in them, and why a file of another kind is refused.

A checkpoint holds the settings of its run and only what was trained; the pretrained rest is named by the settings.
It is one file (.pt) or, where the path has another ending or none, a folder with model.safetensors and config.json.
"""

import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from streaming.durable import new_folder, replace_file
from streaming.errors import SettingError
from training.loop import settings
from training.loop.checkpoint import CheckpointError, save_state
from training.loop.config import ModelConfig, RunConfig, TrainConfig
from training.loop.sharding import put, whole

if TYPE_CHECKING:
    from training.models.retriever import DualEncoder

FORMAT = "termcue-retriever"
VERSION = 1
WEIGHTS, SETTINGS = "model.safetensors", "config.json"
_KINDS = ("_single", "_full")
_SONAR_WIDTH = 1024
_Model = TypeVar("_Model", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it was read.

    Attributes:
        config: of the run.
        weights: name -> tensor of what was trained.
        step: optimiser steps done.
        epoch: epochs done.
        figures: of its last evaluation, such as recall@10.
    """

    config: TrainConfig
    weights: Mapping[str, Tensor]
    step: int = 0
    epoch: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)


def best_path(run: RunConfig, single_slice: bool) -> Path:
    """Where the best epoch goes: ..._best.pt beside ..._full.pt, ..._single_best.pt beside ..._single.pt."""
    return run.best_model or _beside(run.save_path, "best", single_slice)


def epoch_path(run: RunConfig, single_slice: bool, epoch: int) -> Path:
    """Where epoch `epoch`, counted from 1, goes: ..._epoch1.pt."""
    return _beside(run.save_path, f"epoch{epoch}", single_slice)


def resume_folder(run: RunConfig) -> Path:
    """Where the state of an unfinished run lies, beside its checkpoint."""
    return run.save_path.with_name(f"{run.save_path.stem}.resume")


def _beside(path: Path, name: str, single_slice: bool) -> Path:
    """A run on one slice keeps a name of its own, so that it never replaces what a full run has made."""
    stem = path.stem
    for kind in _KINDS:
        stem = stem.removesuffix(kind)
    return path.with_name(f"{stem}{'_single' if single_slice else ''}_{name}{path.suffix}")


def refuse_other_kind(config: TrainConfig) -> None:
    """Refuse to write over checkpoints of a full run by a run on a single slice, and the other way round.

    Raises:
        SettingError: naming the file and what to do.
    """
    single = config.data.single_slice
    for path in (config.run.save_path, best_path(config.run, single)):
        if not path.exists():
            continue
        other = read_checkpoint(path).config.data.single_slice
        if other != single:
            kinds = ("a full run", "a single slice")
            raise SettingError(
                f"{path} is the checkpoint of {kinds[other]} and this is {kinds[single]}, which would replace it; "
                "give another --save-path and --best-model, or move the file away."
            )


def trained_weights(model: nn.Module, config: ModelConfig) -> dict[str, Tensor]:
    """Name -> whole tensor, on the CPU, of what the settings alone do not bring back. All ranks must call it."""
    everything = not config.model_name
    found = {name: parameter for name, parameter in model.named_parameters() if everything or parameter.requires_grad}
    return {name: whole(value.detach()).cpu().contiguous() for name, value in found.items()}


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a file or a folder, whole or not at all.

    Raises:
        CheckpointError: the disk refuses; what was there is untouched.
    """
    head = {
        "format": FORMAT,
        "version": VERSION,
        "config": settings.written(checkpoint.config),
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "figures": dict(checkpoint.figures),
    }
    if path.suffix == ".pt":
        save_state(path, head | {"weights": dict(checkpoint.weights)})
    else:
        _write_folder(path, head, checkpoint.weights)


def _write_folder(path: Path, head: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """A new folder beside, then the old one is moved out of the way and removed."""
    fresh = path.with_name(f"{path.name}.new")
    _remove(fresh)
    with new_folder(fresh, CheckpointError) as staging:
        try:
            save_file(dict(weights), staging / WEIGHTS)
        except SafetensorError as error:
            raise CheckpointError(f"cannot save {path}: {error}; make room on that disk.") from error
        replace_file(staging / SETTINGS, json.dumps(head, indent=1).encode())
    old = _old(path)
    if path.exists():
        _remove(old)
        path.rename(old)
    fresh.rename(path)
    _remove(old)


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _remove(folder: Path) -> None:
    for file in (WEIGHTS, SETTINGS):
        (folder / file).unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file or folder that `write_checkpoint` wrote.

    Raises:
        CheckpointError: missing, damaged, of another program or of a newer version: the message says which.
    """
    # A kill between the two renames of `_write_folder` leaves the one before under this name.
    place = path if path.exists() or not _old(path).is_dir() else _old(path)
    if place.is_dir():
        head, weights = _read_folder(place)
    else:
        head = _read_file(path)
        _refuse_foreign(path, head)
        weights = head.get("weights")
    _refuse_unfit(path, head, weights)
    return Checkpoint(settings.read(head["config"]), weights, head["step"], head["epoch"], head["figures"])


_HEAD: dict[str, type] = {"version": int, "config": dict, "step": int, "epoch": int, "figures": dict}


def _refuse_unfit(path: Path, head: Mapping[str, Any], weights: object) -> None:
    """Refuse a newer version, and a head or weights that are not whole."""
    version = head.get("version")
    if type(version) is int and version > VERSION:
        raise CheckpointError(f"{path} is of version {version} and this TermCue reads up to {VERSION}; update TermCue.")
    faults = [name for name, kind in _HEAD.items() if type(head.get(name)) is not kind]
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        faults.append("weights")
    if faults:
        raise CheckpointError(
            f"{path} is no whole checkpoint: its {faults[0]} is missing or damaged; take another copy."
        )


def _read_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        head = json.loads((path / SETTINGS).read_text("utf-8"))
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise CheckpointError(f"{path} is no checkpoint of TermCue: {SETTINGS} there is of another program.")
        return head, load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({error}); give a folder with {SETTINGS} and {WEIGHTS}."
        ) from error


def _read_file(path: Path) -> Any:  # noqa: ANN401 - the file may hold anything
    try:
        with warnings.catch_warnings():
            # Pickles of other programs are told of by a warning too, and refused below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; give the file that `termcue train --save-path` wrote.") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is no checkpoint of TermCue: reading it would run code that it carries, which is not done."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint ({error}); take another copy.") from error


def _refuse_foreign(path: Path, head: object) -> None:
    if isinstance(head, dict) and head.get("format") == FORMAT:
        return
    weights = _weights_in(head)
    names = [str(name).removeprefix("module.") for name in weights]
    projection = next((w for n, w in weights.items() if str(n).endswith("proj_speech.weight")), None)
    is_sonar = isinstance(projection, Tensor) and projection.shape[-1] == _SONAR_WIDTH
    if is_sonar or any("sonar" in name.lower() for name in names):
        raise CheckpointError(
            f"{path} is of the SONAR system: its {_SONAR_WIDTH}-wide encoder and projections fit no tower here, so its "
            "weights cannot be used. Train anew with `termcue train`; its term-level data is read unchanged."
        )
    if projection is not None:
        raise CheckpointError(
            f"{path} is of the earlier Qwen2-Audio scripts, which saved projections only and of another architecture; "
            "train anew with `termcue train`; the data is read unchanged."
        )
    held = f"it holds {', '.join(names[:3])}, …" if names else f"it holds a {type(head).__name__}"
    raise CheckpointError(f"{path} is no checkpoint of TermCue ({held}); give a file that `termcue train` wrote.")


def _weights_in(head: object) -> dict[object, object]:
    """The table of tensors, which programs put under several names or at the top."""
    if not isinstance(head, dict):
        return {}
    inner = next((head[n] for n in ("model_state_dict", "state_dict", "model") if isinstance(head.get(n), dict)), None)
    return head if inner is None else inner


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
