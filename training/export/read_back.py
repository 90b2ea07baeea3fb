"""int8 graphs that ship -> weights in floating point, for what is trained further when its checkpoint is gone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, numpy_helper
from torch import Tensor, nn

from training.models.block_encoder import BlockEncoder
from training.models.heads import HeadConfig
from training.models.step_weights import step_weights

_QUANTISED = "/MatMul_quant"
_LAYER = "upper.layers.{}."
# Of Whisper's attention, whatever its size.
_HEAD_WIDTH = 64


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named weights of a graph that `training.export.graphs.quantise` wrote.

    Returns:
        under their names in the module that was exported, float32; a matrix of a product stands under the name of its
        module and ".matrix", [in, out].
    """
    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if array.dtype == np.float32 and not name.endswith("_scale") and "::" not in name
    }
    made_by = {output: node for node in graph.node for output in node.output}
    read_by: dict[str, NodeProto] = {node.input[0]: node for node in graph.node if node.input}
    for node in graph.node:
        if node.op_type == "MatMulInteger" and _QUANTISED in node.name:
            name = node.name.strip("/").replace(_QUANTISED, "").replace("/", ".")
            found[f"{name}.matrix"] = torch.from_numpy(_matrix(node, arrays, made_by, read_by))
    return found


def _matrix(
    node: NodeProto,
    arrays: Mapping[str, NDArray[np.generic]],
    made_by: Mapping[str, NodeProto],
    read_by: Mapping[str, NodeProto],
) -> NDArray[np.float32]:
    """The constant of an integer product times its scale, which meets the product two nodes later."""
    product = read_by[read_by[node.output[0]].output[0]]
    scales = next(arrays[name] for name in made_by[product.input[1]].input if name in arrays)
    whole = arrays[node.input[1]].astype(np.float32) - arrays[node.input[3]].astype(np.float32)
    return np.ascontiguousarray(whole * scales.astype(np.float32))


def block_encoder_of(weights: Mapping[str, Tensor]) -> BlockEncoder:
    """The audio graph of the compact retriever, read back, as an encoder that can be taught to hear blocks."""
    layers = len({name.split(".")[2] for name in weights if name.startswith("upper.layers.")})
    encoder = _sized(len(weights["upper.layer_norm.weight"]), layers, len(weights["head.norm.weight"]))
    for convolution, name in ((encoder.conv1, "lower.conv1"), (encoder.conv2, "lower.conv2")):
        _fill_convolution(convolution, weights, name)
    encoder.get_buffer("positions").copy_(weights["lower.embed_positions.weight"])
    for number, layer in enumerate(encoder.each_layer()):
        own = {
            name.removeprefix(_LAYER.format(number)): weight
            for name, weight in weights.items()
            if name.startswith(_LAYER.format(number))
        }
        width, attention = encoder.width, "self_attn."
        layer.qkv.weight.data = torch.cat([own[f"{attention}{part}_proj.matrix"].T for part in "qkv"])
        biases = [own[f"{attention}q_proj.bias"], torch.zeros(width), own[f"{attention}v_proj.bias"]]
        layer.qkv.bias.data = torch.cat(biases)
        for linear, name in ((layer.out, f"{attention}out_proj"), (layer.widen, "fc1"), (layer.narrow, "fc2")):
            _fill_linear(linear, own, name)
        for norm, name in ((layer.attention_norm, "self_attn_layer_norm"), (layer.feed_norm, "final_layer_norm")):
            _fill(norm, own, name)
    _fill(encoder.norm, weights, "upper.layer_norm")
    for name, module in encoder.head.named_modules():
        if isinstance(module, nn.Linear):
            _fill_linear(module, weights, f"head.{name}")
        elif isinstance(module, nn.Conv1d):
            _fill_convolution(module, weights, f"head.{name}")
        elif isinstance(module, nn.LayerNorm):
            _fill(module, weights, f"head.{name}")
    return encoder


def block_encoder_of_step(graph: GraphProto) -> BlockEncoder:
    """The graph of a step, read back. Raises KeyError for another graph."""
    weights = {name: torch.from_numpy(value.copy()) for name, value in step_weights(graph).items()}
    layers = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
    encoder = _sized(len(weights["norm.weight"]), layers, len(weights["head.norm.weight"]))
    encoder.load_state_dict(weights)
    return encoder


def _sized(width: int, layers: int, head_width: int) -> BlockEncoder:
    return BlockEncoder(width, width // _HEAD_WIDTH, layers, HeadConfig(frame_width=width, width=head_width))


def _fill(module: nn.LayerNorm | nn.Linear, weights: Mapping[str, Tensor], name: str) -> None:
    module.weight.data, module.bias.data = weights[f"{name}.weight"].clone(), weights[f"{name}.bias"].clone()


def _fill_linear(linear: nn.Linear, weights: Mapping[str, Tensor], name: str) -> None:
    linear.weight.data, linear.bias.data = weights[f"{name}.matrix"].T.contiguous(), weights[f"{name}.bias"].clone()


def _fill_convolution(convolution: nn.Conv1d, weights: Mapping[str, Tensor], name: str) -> None:
    """From a matrix over shifted copies, see `training.export.graphs.UnfoldedConvolution`."""
    matrix, taps = weights[f"{name}.matrix"], convolution.kernel_size[0]
    convolution.weight.data = matrix.reshape(taps, -1, matrix.shape[1]).permute(2, 1, 0).contiguous()
    assert convolution.bias is not None
    convolution.bias.data = weights[f"{name}.bias"].clone()
