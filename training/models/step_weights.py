"""The weights of a block encoder, read back from the graph of its steps.

`training.export.step_graph` traces every matrix under the name of its parameter, and `training.export.row_scales`
keeps it as integers with a scale for each column.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, numpy_helper

Floats = NDArray[np.float32]

_PREFIX = "encoder."
_WHOLE, _SCALE = "_whole", "_scale"
_TAPS = 3


def step_weights(graph: GraphProto) -> dict[str, Floats]:
    """Name in `BlockEncoder` -> value in its own shape.

    Raises:
        KeyError: the graph is no step's; it names what is missing.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found: dict[str, Floats] = {}
    for name, array in arrays.items():
        if not name.startswith(_PREFIX):
            continue
        own = name.removeprefix(_PREFIX)
        if own.endswith(_WHOLE):
            own = own.removesuffix(_WHOLE)
            matrix = array.astype(np.float32) * arrays[name.removesuffix(_WHOLE) + _SCALE]
            found[own] = np.ascontiguousarray(_folded(own, matrix, arrays))
        elif array.dtype == np.float32 and not own.endswith(_SCALE):
            found[own] = array
    if "conv1.weight" not in found:
        raise KeyError("encoder.conv1.weight")
    return found


def _folded(name: str, matrix: Floats, arrays: Mapping[str, NDArray[np.generic]]) -> Floats:
    """[in, out] of a linear layer -> [out, in]; [taps·in, out] of a convolution -> [out, in, taps]."""
    if "conv" not in name:
        return matrix.T
    wide = "convolutions" in name
    before = len(arrays[f"{_PREFIX}{name.removesuffix('weight')}bias"]) if wide or "conv2" in name else 0
    taps = len(matrix) // before if before else _TAPS
    return matrix.reshape(taps, -1, matrix.shape[1]).transpose(2, 1, 0)


def whisper_names(weights: Mapping[str, Floats]) -> dict[str, Floats]:
    """The same weights under the names of Whisper's encoder, the alignment head's under `alignment.`.

    Queries, keys and values part again; a bias of the keys would change nothing, and there is none.
    """
    found: dict[str, Floats] = {}
    for name, value in weights.items():
        if name.startswith("head."):
            found[f"alignment.{name.removeprefix('head.')}"] = value
        elif name == "positions":
            found["audio.encoder.embed_positions.weight"] = value
        elif name.startswith("norm."):
            found[f"audio.encoder.layer_norm.{name.removeprefix('norm.')}"] = value
        elif ".qkv." in name:
            layer, _, kind = name.partition(".qkv.")
            for part, rows in zip("qkv", np.split(value, 3), strict=True):
                if (part, kind) != ("k", "bias"):
                    found[f"audio.encoder.{layer}.self_attn.{part}_proj.{kind}"] = rows
        else:
            for ours, theirs in _LAYER_PARTS.items():
                name = name.replace(ours, theirs)
            found[f"audio.encoder.{name}"] = value
    return found


_LAYER_PARTS = {
    ".attention_norm.": ".self_attn_layer_norm.",
    ".feed_norm.": ".final_layer_norm.",
    ".out.": ".self_attn.out_proj.",
    ".widen.": ".fc1.",
    ".narrow.": ".fc2.",
}
