"""A graph's matrix products in int8 with one scale for each row of the activations.

ONNX Runtime's own dynamic quantisation takes one scale for a whole tensor, that is for a whole batch: the loudest
stream would change what the others get. A row of its own scale also keeps more of quiet frames.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

_MICROSOFT = "com.microsoft"
_LEAST_SCALE = 1e-12
_MIDDLE, _MOST = 128, 127
_ONE, _SHARE, _LEAST, _ZERO, _FLAT = "row_one", "row_share", "row_least", "row_zero", "row_flat"


def quantise_rows(source: Path, target: Path) -> None:
    """Every product with a constant matrix float32[k, m] becomes int8, per column of the matrix and per row."""
    model = onnx.load(str(source))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    added = _shared()
    scaled: set[str] = set()
    for node in graph.node:
        matrix = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None or matrix.ndim != 2:
            nodes.append(node)
            continue
        rows = node.input[0]
        if rows not in scaled:
            scaled.add(rows)
            added |= _arrays({f"{rows}_width": np.array([-1, len(matrix)], np.int64)})
            nodes += _scale_rows(rows)
        added |= _integers(node.input[1], matrix)
        added |= _arrays({f"{node.output[0]}_width": np.array([matrix.shape[1]], np.int64)})
        nodes += _product(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *added.values()])
    model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    onnx.save(model, str(target))


def _arrays(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, TensorProto]:
    return {name: numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()}


def _shared() -> dict[str, TensorProto]:
    return _arrays(
        {
            _ONE: np.array(1, np.float32),
            _SHARE: np.array(1 / _MOST, np.float32),
            _LEAST: np.array(1e-8, np.float32),
            _ZERO: np.array(_MIDDLE, np.uint8),
            _FLAT: np.array([-1], np.int64),
        }
    )


def _scale_rows(name: str) -> list[NodeProto]:
    """Nodes that make `name`_whole uint8[rows, k] and its scale [rows, 1]."""
    flat, size, most, share, scale, each, zero = (
        f"{name}_{part}" for part in ("rows", "size", "most", "share", "scale", "each", "zero")
    )
    return [
        helper.make_node("Reshape", [name, f"{name}_width"], [flat]),
        helper.make_node("Abs", [flat], [size]),
        helper.make_node("ReduceMax", [size], [most], axes=[1], keepdims=1),
        helper.make_node("Mul", [most, _SHARE], [share]),
        helper.make_node("Max", [share, _LEAST], [scale]),
        helper.make_node("Reshape", [scale, _FLAT], [each]),
        helper.make_node("Shape", [each], [f"{name}_count"]),
        helper.make_node("Expand", [_ZERO, f"{name}_count"], [zero]),
        helper.make_node("QuantizeLinear", [flat, each, zero], [f"{name}_whole"], axis=0),
        helper.make_node("Shape", [name], [f"{name}_lead"], end=-1),
    ]


def _integers(name: str, matrix: NDArray[np.float32]) -> dict[str, TensorProto]:
    scale = np.maximum(np.abs(matrix).max(axis=0) / _MOST, _LEAST_SCALE).astype(np.float32)
    whole = np.clip(np.round(matrix / scale), -_MOST, _MOST).astype(np.int8)
    return _arrays({f"{name}_whole": whole, f"{name}_scale": scale, f"{name}_zero": np.zeros(len(scale), np.int8)})


def _product(node: NodeProto) -> list[NodeProto]:
    rows, matrix = node.input
    operands = [f"{rows}_whole", f"{matrix}_whole", _ONE, f"{matrix}_scale", _ZERO, f"{matrix}_zero"]
    unscaled, flat, width, shape = (f"{node.output[0]}_{part}" for part in ("unscaled", "flat", "width", "shape"))
    return [
        helper.make_node("MatMulIntegerToFloat", operands, [unscaled], domain=_MICROSOFT),
        helper.make_node("Mul", [unscaled, f"{rows}_scale"], [flat]),
        helper.make_node("Concat", [f"{rows}_lead", width], [shape], axis=0),
        helper.make_node("Reshape", [flat, shape], [node.output[0]]),
    ]
