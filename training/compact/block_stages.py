"""The stages that teach the encoder of a finished model folder to hear blocks, and make a model folder of it.

Like all stages they go on where they were stopped. They begin with the model folder that the stage export wrote.
"""

import logging
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from streaming.durable import new_folder
from streaming.model_folder import BUNDLED, ModelFolder
from training.compact.block_earlier import read_teacher, read_verifier
from training.compact.block_export import export_blocks, rewrite_step
from training.compact.block_sessions import StoredSession, read_sessions, write_sessions
from training.compact.block_stretches import StretchPool
from training.compact.block_verifier import BlockTower, StretchCropSampler
from training.compact.finished_parts import load_part, load_verifier_weights
from training.compact.learning import part_file
from training.compact.recipe import CompactRecipe, Materials, StageError, real_speech, spoken_by_machine
from training.compact.stages import (
    choose_contexts,
    every_context,
    lexicon_of,
    load_alignment,
    load_g2p,
    load_verifier,
)
from training.compact.train_blocks import BlockLearner, LessonSampler, train_blocks
from training.compact.train_verifier import VerifierModel, train_verifier
from training.compact.windows import Session, WindowConfig, make_sessions
from training.export.verifier import VerifierPart, read_tokens
from training.models.block_encoder import BlockEncoder

_LOG = logging.getLogger(__name__)
_BLOCKS, _VERIFY = "blocks", "verify-blocks"


def teaching_blocks(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage blocks: joined speech and the earlier folder's encoder -> the block encoder, averaged."""
    config, g2p, learner = recipe.blocks, load_g2p(materials, recipe), _learner(materials, recipe)
    training, held_out = _sessions(materials, recipe)
    said = {word.text for session in training + held_out for word in session.words}
    lexicon = lexicon_of(materials.dictionary, g2p, said)
    samplers = [LessonSampler(StretchPool(some, config.stretches), lexicon, config) for some in (training, held_out)]
    train_blocks(learner, samplers[0], samplers[1], materials.work / _BLOCKS, config)


def verifying_blocks(materials: Materials, recipe: CompactRecipe) -> None:
    """Stage verify-blocks: joined speech, the block encoder and the verifier so far -> the verifier of its frames."""
    config = recipe.block_verifier
    part = _first_verifier(materials, recipe)
    tokenizer, positions = read_tokens(part.tokenizer), part.verifier.config.positions
    model = VerifierModel(BlockTower(load_blocks(materials, recipe), config.reach), part.verifier)

    training, held_out = (
        StretchCropSampler(StretchPool(sessions, config.stretches), tokenizer, positions, config)
        for sessions in _sessions(materials, recipe)
    )
    train_verifier(model, training, held_out, materials.work / _VERIFY, config.schedule)


def exporting_blocks(materials: Materials, recipe: CompactRecipe, model: Path, facts: Mapping[str, Any]) -> None:
    """Stage export-blocks: both and the other parts of the earlier folder -> the folder `model`, uncalibrated."""
    encoder, part = load_blocks(materials, recipe), _first_verifier(materials, recipe)
    reader = VerifierModel(BlockTower(encoder, recipe.block_verifier.reach), part.verifier)
    load_verifier_weights(reader, part_file(materials.work / _VERIFY, "verifier"), _VERIFY)
    _, held_out = real_speech(materials, recipe)
    contexts = choose_contexts(held_out, recipe.background)
    work, shape = materials.work / "export-blocks", recipe.blocks.shapes.shape
    speech = every_context(held_out)
    export_blocks(model, earlier_folder(materials), encoder, shape, part, contexts, speech, work, facts)


def rewriting_step(materials: Materials, recipe: CompactRecipe, model: Path) -> None:
    """Stage rewrite-step: the weights in the folder `model` and held-out speech -> its graph of a step, anew."""
    _, held_out = real_speech(materials, recipe)
    contexts = choose_contexts(held_out, recipe.background)
    rewrite_step(model, contexts, every_context(held_out), materials.work / "rewrite-step")


def earlier_folder(materials: Materials) -> ModelFolder:
    """The folder named, else the one that the stage export wrote, else the bundled one."""
    written = materials.work / "model"
    return ModelFolder.load(materials.earlier or (written if written.exists() else BUNDLED))


def load_blocks(materials: Materials, recipe: CompactRecipe) -> BlockEncoder:
    """The averaged block encoder. Raises StageError before the stage blocks has ended."""
    learner = _learner(materials, recipe)
    load_part(learner, part_file(materials.work / _BLOCKS, "blocks"), _BLOCKS)
    return learner.encoder


def _learner(materials: Materials, recipe: CompactRecipe) -> BlockLearner:
    teacher = read_teacher(earlier_folder(materials))
    return BlockLearner(deepcopy(teacher), teacher, recipe.blocks.windows)


def _first_verifier(materials: Materials, recipe: CompactRecipe) -> VerifierPart:
    """What the training begins with: of the stage verify where it was run here, else as the earlier folder has it."""
    part = None
    if part_file(materials.work / "verify", "verifier").exists():
        part = load_verifier(materials, recipe, load_alignment(materials, recipe).tower)
    return part or read_verifier(earlier_folder(materials))


def _sessions(materials: Materials, recipe: CompactRecipe) -> tuple[list[StoredSession], list[StoredSession]]:
    """Sessions of training and held-out ones, each kind joined where that has not been done yet."""
    training, held_out = real_speech(materials, recipe)
    copies = range(1, recipe.blocks.copies + 1)
    kinds = {f"real{copy}": make_sessions(training, WindowConfig(), copy) for copy in copies}
    if materials.synthetic is not None:
        spoken = spoken_by_machine(materials.synthetic)
        kinds |= {f"synthetic{copy}": make_sessions(spoken, WindowConfig(), copy) for copy in copies}
    folders = [_joined(materials.work / "sessions" / name, sessions) for name, sessions in kinds.items()]
    heard_by_none = _joined(materials.work / "sessions" / "held_out", make_sessions(held_out, WindowConfig()))
    return read_sessions(folders), read_sessions([heard_by_none])


def _joined(folder: Path, sessions: Iterator[Session]) -> Path:
    if not folder.exists():
        with new_folder(folder, StageError) as staging:
            count = write_sessions(staging, sessions)
        _LOG.info("%s: %d sessions", folder, count)
    return folder
