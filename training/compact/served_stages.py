"""The stages of a finished model folder's verifier: it goes on learning, or its graph is written anew.

It learns on the frames that the folder's own graph gives. Neither the encoder nor a GPU is needed: speech passes the
graph once, and what is trained reads frames on disk.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streaming.durable import new_folder
from streaming.encoding.block_encoder import BlockEncoders
from streaming.encoding.block_shape import STEP_FILE
from streaming.model_folder import ModelFolder
from streaming.spotting.verifier import GRAPH_FILE
from training.compact.block_earlier import read_verifier
from training.compact.block_stages import earlier_folder
from training.compact.finished_parts import load_part
from training.compact.learning import part_file
from training.compact.recipe import CompactRecipe, Materials, StageError, real_speech, spoken_by_machine
from training.compact.served_crops import ServedCropSampler
from training.compact.served_speech import ServedSession, read_served, write_served
from training.compact.train_verifier import VerifierModel, train_verifier
from training.compact.windows import WindowConfig, make_sessions
from training.corpus.manifest import Utterance
from training.export.folder import write_model_folder
from training.export.verifier import export_verifier, read_tokens, verifier_parity
from training.speech.augmentation import AugmentationConfig

_LOG = logging.getLogger(__name__)
_VERIFY = "verify-served"
# Sessions that the graphs are compared with torch on, and frames of each.
_MEASURED, _MEASURED_FRAMES = 8, 150


def verifying_served(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage verify-served: speech as the earlier folder's graph hears it, and its verifier -> a better one."""
    config = recipe.served_verifier
    training, held_out = _sessions(materials, recipe)
    part = read_verifier(earlier_folder(materials))
    tokenizer, positions = read_tokens(part.tokenizer), part.verifier.config.positions
    samplers = [ServedCropSampler(some, tokenizer, positions, config) for some in (training, held_out)]
    model = VerifierModel(nn.Identity(), part.verifier)
    train_verifier(model, samplers[0], samplers[1], materials.work / _VERIFY, config.schedule)


def exporting_verifier(materials: Materials, recipe: CompactRecipe, model: Path, facts: Mapping[str, Any]) -> None:
    """Stage export-verifier: the earlier folder with the better verifier -> the folder `model`.

    The calibration stays as it was until the stage calibrate has run; `facts` take the place of the earlier folder's.
    """
    earlier = earlier_folder(materials)
    part = read_verifier(earlier)
    load_part(VerifierModel(nn.Identity(), part.verifier), part_file(materials.work / _VERIFY, "verifier"), _VERIFY)
    work = materials.work / "export-verifier"
    work.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path | bytes] = {**earlier.contents, GRAPH_FILE: export_verifier(part.verifier.eval(), work)}
    spec = json.loads((earlier.path / "spec.json").read_text("utf-8")) | facts
    _, held_out = _sessions(materials, recipe)
    spec["parity"] |= verifier_parity(part, work, _contexts(held_out))
    del spec["sha256"], spec["spec_sha256"]
    write_model_folder(model, files, spec)


def rewriting_verifier(materials: Materials, model: Path) -> None:
    """Stage rewrite-verifier: the weights in the folder `model` -> its verifier's graph, anew; all else stays.

    The figures of parity too: integers and scales are the same.
    """
    folder = ModelFolder.load(model)
    work = materials.work / "rewrite-verifier"
    work.mkdir(parents=True, exist_ok=True)
    small = export_verifier(read_verifier(folder).verifier, work)
    spec = json.loads((model / "spec.json").read_text("utf-8"))
    del spec["sha256"], spec["spec_sha256"]
    write_model_folder(model, {**folder.contents, GRAPH_FILE: small}, spec)


def _contexts(sessions: Sequence[ServedSession]) -> list[torch.Tensor]:
    """The first frames of some sessions, float32[frames, width] each."""
    long = [session for session in sessions if session.frames >= _MEASURED_FRAMES] or list(sessions)
    return [
        torch.from_numpy(one.heard(0, min(one.frames, _MEASURED_FRAMES), one.frames)).float()
        for one in long[:_MEASURED]
    ]


def _sessions(materials: Materials, recipe: CompactRecipe) -> tuple[list[ServedSession], list[ServedSession]]:
    """Training and held-out sessions, each kind heard where that has not been done yet.

    Raises:
        StageError: the earlier folder does not hear blocks, or what has been heard was heard by another graph.
    """
    folder = earlier_folder(materials)
    blocks, context = folder.spec.blocks, folder.spec.context_samples
    if blocks is None:
        raise StageError(f"{folder.path} does not hear blocks; run the stage export-blocks first")
    encoders = BlockEncoders(folder, blocks)
    heard_by = hashlib.sha256(folder.contents[STEP_FILE]).hexdigest()[:12]
    training, held_out = real_speech(materials, recipe)
    changed = {
        f"changed{copy}": (training, copy, AugmentationConfig()) for copy in range(1, recipe.served_verifier.copies + 1)
    }
    kinds: dict[str, tuple[list[Utterance], int, AugmentationConfig | None]] = {"clean": (training, 0, None), **changed}
    if materials.synthetic is not None:
        kinds["synthetic"] = (spoken_by_machine(materials.synthetic), 0, AugmentationConfig())
    kinds["held_out"] = (held_out, 0, None)
    folders = {}
    for name, (utterances, copy, augmentation) in kinds.items():
        # What was heard by another graph lies elsewhere.
        folders[name] = materials.work / "served" / f"{name}-{heard_by}"
        if not folders[name].exists():
            with new_folder(folders[name], StageError) as staging:
                sessions = make_sessions(utterances, WindowConfig(), copy, augmentation)
                steps = write_served(staging, sessions, encoders, context)
            _LOG.info("%s: %d steps heard", folders[name], steps)
    width = encoders.graph.state_shape.width
    last = folders.pop("held_out")
    return read_served(folders.values(), blocks, width), read_served([last], blocks, width)
