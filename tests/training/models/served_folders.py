"""Model folders that are changed, and graphs of them without the rounding of activations."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streaming.model_folder import render_spec, spec_digest
from training.loop.config import ModelConfig

FROM_BUNDLED = ModelConfig("whisper", "bundled", "characters", unfreeze_layers=2)


def rewritten(source: Path, target: Path, contents: dict[str, bytes | None], **spec: object) -> Path:
    """A copy of a model folder, whole by its hashes, with other files and other values in its spec."""
    target.mkdir()
    raw = json.loads((source / "spec.json").read_text("utf-8")) | spec
    for name in list(raw["sha256"]):
        content = contents[name] if name in contents else (source / name).read_bytes()
        if content is None:
            del raw["sha256"][name]
            continue
        raw["sha256"][name] = hashlib.sha256(content).hexdigest()
        (target / name).write_bytes(content)
    raw["spec_sha256"] = spec_digest(raw)
    (target / "spec.json").write_bytes(render_spec(raw))
    return target


def without_rounding(content: bytes) -> bytes:
    """A served graph with its int8 weights whose activations are not rounded: integer products become float ones.

    Both kinds of them: scales of a whole tensor, computed while it runs, and constant ones.
    """
    model = onnx.load_model_from_string(content)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "DynamicQuantizeLinear":
            model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), node.output[1]))
            model.graph.node.insert(0, helper.make_node("Identity", list(node.input), [node.output[0]]))
            model.graph.node.remove(node)
        elif node.op_type == "MatMulInteger":
            weight = arrays[node.input[1]].astype(np.float32) - arrays[node.input[3]].astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(weight, f"{node.name}_float"))
            node.op_type, node.input[:] = "MatMul", [node.input[0], f"{node.name}_float"]
        elif node.op_type == "QuantizeLinear":
            node.op_type, node.input[:] = "Identity", node.input[:1]
        elif node.op_type == "Pad":
            # With zeros, which need no integer for 0.
            del node.input[2:]
        elif node.op_type == "MatMulIntegerToFloat":
            x, whole, _, scale, _, *bias = node.input
            name = f"{node.output[0]}_float"
            product = helper.make_node("MatMul", [x, name], [f"{name}_product"])
            added = helper.make_node("Add", [product.output[0], bias[1]], list(node.output)) if bias else None
            if added is None:
                product.output[0] = node.output[0]
            at = list(model.graph.node).index(node)
            model.graph.node.remove(node)
            cast = helper.make_node("Cast", [whole], [f"{name}_cast"], to=TensorProto.FLOAT)
            made = [cast, helper.make_node("Mul", [cast.output[0], scale], [name]), product, added]
            for one in reversed([one for one in made if one is not None]):
                model.graph.node.insert(at, one)
    return model.SerializeToString()  # type: ignore[no-any-return]
