"""The weights of a served model folder, read back from its graphs, so that training can go on from a model that works.

`training.export.graphs` and `training.export.parts` say what was traced. A graph keeps norms, biases, tables and
convolutions under their parameters' names; a matrix product has lost its name, but its node tells which module it was
of. Products are int8 with a scale for each column, which is how they are served, so the retriever that is read back
computes what the folder does but for the rounding of activations.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from streaming.encoding.block_shape import STEP_FILE, keys_of
from streaming.model_folder import ModelFolder
from training.models.base_folder import unfit
from training.models.step_weights import step_weights, whisper_names

Floats = NDArray[np.float32]

_QUANTISED, _SCALE, _ZERO, _HALF = "_quantized", "_scale", "_zero_point", "_half"
_TRANSPOSED = ".weight_Transposed"
_PRODUCTS = frozenset({"MatMul", "MatMulInteger", "Gemm"})
_NAMELESS = ("onnx::", "/")
# Name in a graph -> name in `DualEncoder`. A tower is traced in two parts by `training.compact` and whole by
# `training.export.parts`, where the nodes of a layer leave out the encoder around it.
_PLACES: Mapping[str, Sequence[tuple[str, str]]] = {
    "audio": (
        ("tower.encoder.", "audio.encoder."),
        ("tower.", "audio.encoder."),
        ("lower.", "audio.encoder."),
        ("upper.", "audio.encoder."),
        ("head.", "alignment."),
    ),
    "spans": (("", "spans."),),
    "text": (("text.", "text."), ("", "text.tower.")),
}


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """Size of a Whisper-shaped encoder."""

    width: int
    layers: int
    heads: int
    inner: int


@dataclass(frozen=True, slots=True)
class ServedBase:
    """What training starts from.

    Attributes:
        folder: that was read.
        size: of its audio encoder.
        weights: name of a parameter of `DualEncoder` -> its value; a convolution may lie unfolded, [taps·in, out].
    """

    folder: ModelFolder
    size: EncoderSize
    weights: Mapping[str, Floats]

    def fitted(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Floats]:
        """A value for each parameter, every stored value used once.

        Args:
            shapes: name -> shape of all parameters that the folder should hold.

        Raises:
            ModelError: naming a parameter that is missing, has another shape, or has no place.
        """
        missing = sorted(shapes.keys() - self.weights.keys())
        unknown = sorted(self.weights.keys() - shapes.keys())
        if missing:
            raise unfit(self.folder, f"it holds no {missing[0]}")
        if unknown:
            raise unfit(self.folder, f"{unknown[0]} has no place in a retriever")
        return {name: self._fitted(name, tuple(shape)) for name, shape in shapes.items()}

    def _fitted(self, name: str, shape: tuple[int, ...]) -> Floats:
        value = self.weights[name]
        if len(shape) == 3 and value.shape == (shape[2] * shape[1], shape[0]):
            value = value.reshape(shape[2], shape[1], shape[0]).transpose(2, 1, 0)
        if value.shape != shape:
            raise unfit(self.folder, f"its {name} is {list(value.shape)} and not {list(shape)}")
        if not np.isfinite(value).all():
            raise unfit(self.folder, f"its {name} holds numbers that are not finite")
        # A copy for each: of equal values a graph keeps one, and parameters that share it would learn together.
        return np.array(value, order="C")


def read_base(folder: ModelFolder) -> ServedBase:
    """All weights of a model folder.

    Raises:
        ModelError: it is of another kind.
    """
    hears_blocks = folder.spec.blocks is not None
    audio = _graph(folder, STEP_FILE if hears_blocks else "audio.onnx")
    weights: dict[str, Floats] = {}
    try:
        # Taught to hear blocks, it hears whole contexts as well.
        parts = [whisper_names(step_weights(audio))] if hears_blocks else [dict(_placed("audio", _traced(audio)))]
    except KeyError as error:
        raise unfit(folder, f"it holds no {error.args[0]}") from error
    parts += [dict(_placed(part, _traced(_graph(folder, f"{part}.onnx")))) for part in ("spans", "text")]
    for part in parts:
        if twice := weights.keys() & part.keys():
            raise unfit(folder, f"it holds {min(twice)} twice")
        weights |= part
    return ServedBase(folder, _size_of(folder, audio, weights), weights)


def _graph(folder: ModelFolder, name: str) -> onnx.GraphProto:
    if name not in folder.contents:
        raise unfit(folder, f"it holds no {name}")
    model = onnx.load_model_from_string(folder.contents[name])
    load_external_data_for_model(model, str(folder.path))
    return model.graph


def _traced(graph: onnx.GraphProto) -> dict[str, Floats]:
    """Name of a parameter of the traced module -> its value."""
    stored = _stored(graph)
    # Values that are equal are kept once; the other names are outputs of nodes that pass them on.
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    found = {name: value for name, value in stored.items() if not name.startswith(_NAMELESS)}
    for node in graph.node:
        source = node.input[1].removesuffix(_QUANTISED) if node.op_type in _PRODUCTS else ""
        if source in stored and source.startswith(_NAMELESS):
            found[_product_name(node.name)] = stored[source].T
    return {name.replace(_TRANSPOSED, ".weight"): v.T if _TRANSPOSED in name else v for name, v in found.items()}


def _stored(graph: onnx.GraphProto) -> dict[str, Floats]:
    """Initialisers as float32: int8 ones multiplied out, halves under their full name, constants of shapes left out."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    stored: dict[str, Floats] = {}
    for name, array in arrays.items():
        base, of_product = name.removesuffix(_QUANTISED), name.removesuffix(_SCALE).removesuffix(_ZERO) + _QUANTISED
        if base != name:
            zero = arrays[base + _ZERO].astype(np.float32)
            stored[base] = (array.astype(np.float32) - zero) * arrays[base + _SCALE]
        elif of_product not in arrays and np.issubdtype(array.dtype, np.floating):
            stored[name.removesuffix(_HALF)] = array.astype(np.float32)
    return stored


def _product_name(node: str) -> str:
    """`/lower/layers.0/fc1/MatMul_quant` -> lower.layers.0.fc1.weight; attention may multiply in its own name."""
    module = ".".join(node.strip("/").split("/")[:-1])
    return f"{module}.in_proj_weight" if module.endswith("self_attn") else f"{module}.weight"


def _placed(part: str, values: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    """The values under the names of `DualEncoder`; the layers of an upper tower follow those of the lower one."""
    lower = _layers(values, "lower.")
    for name, value in values.items():
        if name.startswith("upper.layers."):
            index, _, rest = name.removeprefix("upper.layers.").partition(".")
            name = f"upper.layers.{lower + int(index)}.{rest}"
        old, new = next((place for place in _PLACES[part] if name.startswith(place[0])), ("", f"{part}."))
        yield new + name.removeprefix(old), value


def _layers(names: Mapping[str, Floats], prefix: str) -> int:
    pattern = re.compile(rf"{re.escape(prefix)}layers\.(\d+)\.")
    return len({match[1] for match in map(pattern.match, names) if match})


def _size_of(folder: ModelFolder, graph: onnx.GraphProto, weights: Mapping[str, Floats]) -> EncoderSize:
    def length(name: str) -> int:
        if name not in weights:
            raise unfit(folder, f"it holds no {name}")
        return len(weights[name])

    width = length("audio.encoder.conv1.bias")
    per_head = _head_width(graph)
    if not per_head or width % per_head:
        raise unfit(folder, "its audio graph does not tell how wide a head of its attention is")
    layers = _layers(weights, "audio.encoder.")
    return EncoderSize(width, layers, width // per_head, length("audio.encoder.layers.0.fc1.bias"))


def _head_width(graph: onnx.GraphProto) -> int:
    """Attention divides by the square root of it: the only constant between 0 and 1 in the first layer's; 0 if none.

    The graph of a step tells it by the shape of the keys that it takes.
    """
    for given in graph.input:
        if given.name == keys_of(0):
            return int(given.type.tensor_type.shape.dim[-1].dim_value)
    for node in graph.node:
        if node.op_type == "Constant" and "layers.0/self_attn/" in node.name:
            value = numpy_helper.to_array(node.attribute[0].t)
            if value.shape == () and 0 < float(value) < 1:
                return round(float(value) ** -2)
    return 0
