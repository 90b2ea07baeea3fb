"""Checkpoints of retrievers, written and read: what is in the files, and which are not whole.

A checkpoint holds the settings of its run and only what was trained; the pretrained rest is named by the settings.
It is one file (.pt) or, where the path has another ending or none, a folder with model.safetensors and config.json.
"""

import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streaming.durable import new_folder, replace_file
from training.loop import settings
from training.loop.checkpoint import CheckpointError, save_state
from training.loop.config import TrainConfig
from training.loop.foreign_checkpoints import foreign_checkpoint

FORMAT = "termcue-retriever"
VERSION = 1
WEIGHTS, SETTINGS = "model.safetensors", "config.json"


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


def _refuse_foreign(path: Path, head: object) -> None:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise foreign_checkpoint(path, head)


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
