"""The model folder that a block encoder is taught from: its encoder and its verifier, read back for training."""

import json

import onnx

from streaming.encoding.block_shape import STEP_FILE
from streaming.model_folder import ModelFolder
from streaming.spotting.verifier import GRAPH_FILE, TOKENS_FILE
from training.compact.recipe import StageError
from training.export.read_back import block_encoder_of, block_encoder_of_step, read_weights
from training.export.read_back_verifier import verifier_of
from training.export.verifier import VerifierPart
from training.models.block_encoder import BlockEncoder

AUDIO_FILE = "audio.onnx"
_CURE = "name a folder that the stage export wrote with --earlier"


def read_teacher(folder: ModelFolder) -> BlockEncoder:
    """The folder's encoder, which is to hear whole contexts: one of these, or else one of blocks.

    Raises:
        StageError: the folder has none, or one of another shape.
    """
    name = AUDIO_FILE if AUDIO_FILE in folder.contents or STEP_FILE not in folder.contents else STEP_FILE
    if name not in folder.contents:
        raise StageError(f"{folder.path} has no {AUDIO_FILE}, from which blocks are taught: {_CURE}")
    try:
        if name == STEP_FILE:
            return block_encoder_of_step(onnx.load_model_from_string(folder.contents[STEP_FILE]).graph).eval()
        return block_encoder_of(read_weights(folder.path / AUDIO_FILE)).eval()
    except (KeyError, IndexError, RuntimeError) as error:
        raise StageError(f"{folder.path / name} is not of Whisper's shape ({error!r}): {_CURE}") from error


def read_verifier(folder: ModelFolder) -> VerifierPart:
    """The folder's verifier with its tokenizer. Raises StageError where it has none, or one of another shape."""
    if GRAPH_FILE not in folder.contents or TOKENS_FILE not in folder.contents:
        raise StageError(f"{folder.path} has no {GRAPH_FILE}: run the stage verify before export, or {_CURE}")
    path = folder.path / GRAPH_FILE
    try:
        return VerifierPart(verifier_of(path), json.loads(folder.contents[TOKENS_FILE]))
    except (KeyError, StopIteration, RuntimeError, ValueError) as error:
        raise StageError(f"{path} is not of Whisper's shape ({error!r}): {_CURE}") from error
