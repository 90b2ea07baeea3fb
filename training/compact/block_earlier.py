"""The model folder that a block encoder is taught from: its encoder and its verifier, read back for training."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from streaming.encoding.block_shape import STEP_FILE
from streaming.model_folder import ModelFolder
from streaming.spotting.verifier import GRAPH_FILE, TOKENS_FILE
from training.compact.recipe import StageError
from training.export.read_back import block_encoder_of, block_encoder_of_step, read_weights
from training.export.verifier import VerifierPart
from training.models.block_encoder import BlockEncoder
from training.models.verifier import SpanVerifier, VerifierConfig

AUDIO_FILE = "audio.onnx"
# Of Whisper's decoders, whatever their size.
_HEAD_WIDTH = 64
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
        return VerifierPart(_verifier_of(path), json.loads(folder.contents[TOKENS_FILE]))
    except (KeyError, StopIteration, RuntimeError, ValueError) as error:
        raise StageError(f"{path} is not of Whisper's shape ({error!r}): {_CURE}") from error


def _verifier_of(path: Path) -> SpanVerifier:
    weights = read_weights(path)
    prefix = "verifier."
    positions = weights[f"{prefix}embed_positions.weight"]
    embedded = _rows(path) * weights["scale"]
    config = VerifierConfig(
        vocabulary=len(embedded),
        width=embedded.shape[1],
        layers=len({name.split(".")[2] for name in weights if name.startswith(f"{prefix}layers.")}),
        heads=max(1, embedded.shape[1] // _HEAD_WIDTH),
        inner=len(weights[f"{prefix}layers.0.fc1.bias"]),
        positions=len(positions),
    )
    verifier = SpanVerifier(config)
    state = {"embed_tokens.weight": embedded}
    for name in verifier.state_dict().keys() - state.keys():
        matrix = weights.get(f"{name.removesuffix('.weight')}.matrix")
        is_product = name.endswith(".weight") and matrix is not None
        state[name] = matrix.T if is_product and matrix is not None else weights[f"{prefix}{name}"]
    verifier.load_state_dict(state)
    return verifier.eval()


def _rows(path: Path) -> Tensor:
    """The rows of the embedding, int8 in the graph, as float32."""
    [rows] = (tensor for tensor in onnx.load(str(path)).graph.initializer if tensor.name == "rows")
    return torch.from_numpy(numpy_helper.to_array(rows).astype(np.float32))
