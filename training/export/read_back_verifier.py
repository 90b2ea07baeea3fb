"""The verifier's graph that ships -> the verifier, for what is trained further or written anew."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from training.export.read_back import read_weights
from training.export.verifier_writer import PREFIX
from training.models.verifier import SpanVerifier, VerifierConfig

_EMBEDDING, _POSITIONS = "embed_tokens.weight", "embed_positions.weight"
_WHOLE, _SCALE = "_whole", "_scale"
# Of Whisper's decoders, whatever their size.
_HEAD_WIDTH = 64


def verifier_of(path: Path) -> SpanVerifier:
    """A graph that was written node by node, or one that was traced and quantised, as older folders have it.

    Raises:
        KeyError, StopIteration, RuntimeError, ValueError: the graph is no verifier's.
    """
    state = _written(path)
    if _EMBEDDING not in state:
        state = _traced(path)
    vocabulary, width = state[_EMBEDDING].shape
    config = VerifierConfig(
        vocabulary=vocabulary,
        width=width,
        layers=len({name.split(".")[1] for name in state if name.startswith("layers.")}),
        heads=max(1, width // _HEAD_WIDTH),
        inner=len(state["layers.0.fc1.bias"]),
        positions=len(state[_POSITIONS]),
    )
    verifier = SpanVerifier(config)
    verifier.load_state_dict(state)
    return verifier.eval()


def _written(path: Path) -> dict[str, Tensor]:
    """Weights by their names in `SpanVerifier`, as `training.export.verifier_writer` names them."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}
    found = {}
    for name, array in arrays.items():
        own = name.removeprefix(PREFIX)
        if own == name or own.endswith(_SCALE):
            continue
        if own.endswith(_WHOLE):
            scale = arrays[name.removesuffix(_WHOLE) + _SCALE]
            value = array.astype(np.float32) * scale
            # A table has a scale for each row; a matrix stands in the graph as [in, out].
            found[own.removesuffix(_WHOLE)] = torch.from_numpy(value if scale.ndim > 1 else value.T)
        else:
            found[own] = torch.from_numpy(array.copy())
    return found


def _traced(path: Path) -> dict[str, Tensor]:
    """The same of a traced graph, which has its embedding twice: here as the rows that are read."""
    weights = read_weights(path)
    [rows] = (tensor for tensor in onnx.load(str(path)).graph.initializer if tensor.name == "rows")
    found = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    matrix = ".matrix"
    for name, value in weights.items():
        if name.startswith("layers.") and name.endswith(matrix):
            found[f"{name.removesuffix(matrix)}.weight"] = value.T
    found[_EMBEDDING] = torch.from_numpy(numpy_helper.to_array(rows).astype(np.float32)) * weights["scale"]
    return found
