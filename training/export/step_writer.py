"""The graph of a step of the block encoder, written for few nodes and no copies.

A step costs its matrix products and as much again for small nodes, unless these are few: no shape is computed, what
ONNX Runtime has as one operator is one, and time comes before the stream ([t, n, …]), so that keys and values are
joined in one piece and multiplied where they lie. How many frames a step has and how many are kept is left open, so
that one graph serves one block and several together.
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from streaming.encoding.block_shape import OUTPUTS, keys_of, values_of
from training.export.graph_writer import MICROSOFT, GraphWriter
from training.export.products import Operand, StepProducts, split_constant
from training.models.block_encoder import HEAD_REACH, MEL_BINS, BlockEncoder, BlockLayer
from training.models.heads import AlignmentHead, ResidualConvolution

Floats = NDArray[np.float32]

# Parameters go by their names in `BlockEncoder`, with this before them (`training.models.step_weights`).
_PREFIX = "encoder."
_TO_THE_END = 2**63 - 1


class StepWriter:
    """Adds the nodes of one encoder to a graph.

    Args:
        graph: empty as yet.
        products: how it multiplies.
        encoder: whose weights go in.
    """

    def __init__(self, graph: GraphWriter, products: StepProducts, encoder: BlockEncoder) -> None:
        self._graph, self._products, self._encoder = graph, products, encoder
        heads = encoder.each_layer()[0].heads
        # Of keys and values, after time.
        self._sizes: tuple[str, int, int] = ("n", heads, encoder.width // heads)

    def write(self) -> None:
        """Inputs, nodes and outputs as `training.export.step_graph.StepGraph` has them."""
        graph, encoder = self._graph, self._encoder
        mel = graph.input("mel", TensorProto.FLOAT, ["n", MEL_BINS, "log-mel frames"])
        places = graph.input("places", TensorProto.INT64, ["frames", "n"])
        unheard = graph.input("unheard", TensorProto.FLOAT, ["n", "kept and own frames"])
        before = graph.input("before", TensorProto.FLOAT, ["n", HEAD_REACH, encoder.width])
        positions = graph.add("Gather", [self._weight("positions", encoder.get_buffer("positions")), places], axis=0)
        x = self._sum(self._stem(mel), positions)
        mask = graph.add("Unsqueeze", [unheard, graph.integers(1, 2)])
        for number, layer in enumerate(encoder.each_layer()):
            x = self._layer(number, layer, x, mask)
        hidden = self._norm(x, "norm", encoder.norm)
        self._give("hidden", hidden)
        earlier = graph.add("Transpose", [before], perm=[1, 0, 2])
        self._head(encoder.head, graph.add("Concat", [earlier, hidden], axis=0))
        self._name_outputs()

    def _stem(self, mel: str) -> str:
        """Two convolutions; beyond the last log-mel frame stands one of zeros."""
        graph, encoder = self._graph, self._encoder
        heard = self._products.operand("conv1", graph.add("Transpose", [mel], perm=[2, 0, 1]))
        near = self._unfolded(self._padded(heard, 1), encoder.conv1)
        x = self._convolved(near, "conv1", encoder.conv1)
        # A row has one scale, so it is unfolded before it is made whole.
        near = self._unfolded(Operand(x), encoder.conv2)
        return self._convolved(self._products.row_operand(near.values), "conv2", encoder.conv2)

    def _layer(self, number: int, layer: BlockLayer, x: str, mask: str) -> str:
        graph, products, name = self._graph, self._products, f"layers.{number}"
        attended = self._attended(number, layer, x, mask)
        out = self._linear(products.operand(f"{name}.out", attended), f"{name}.out", layer.out)
        x = graph.add("Add", [x, out])
        normed = self._centred_norm(x, f"{name}.feed_norm", layer.feed_norm, f"{name}.widen")
        matrix = _array(layer.widen.weight).T
        bias = products.with_middle(f"{name}.widen", self._weight(f"{name}.widen.bias", layer.widen.bias), matrix)
        [whole] = products.matrices(f"{_PREFIX}{name}.widen.weight", matrix)
        wide = self._gelu(products.product(products.operand(f"{name}.widen", normed), whole, bias))
        return graph.add("Add", [x, self._linear(products.row_operand(wide), f"{name}.narrow", layer.narrow)])

    def _attended(self, number: int, layer: BlockLayer, x: str, mask: str) -> str:
        """float32[t, n, width] of what each frame attends to in what is kept and in the step's own frames."""
        graph, (_, heads, per_head) = self._graph, self._sizes
        queries, keys, values = (
            graph.add("Reshape", [part, graph.integers(0, 0, heads, per_head)])
            for part in self._queries_keys_values(f"layers.{number}", layer, x)
        )
        keys, values = self._joined(keys_of(number), keys), self._joined(values_of(number), values)
        # Time lies before stream and head in both; the scores are [n, heads, t, kept + t].
        scores = graph.add(
            "FusedMatMul", [queries, keys], "", MICROSOFT,
            transBatchA=1, transBatchB=1, transB=1, alpha=float(per_head**-0.5),
        )  # fmt: skip
        weights = graph.add("Softmax", [graph.add("Add", [scores, mask])], axis=-1)
        attended = graph.add("FusedMatMul", [weights, values], domain=MICROSOFT, transBatchB=1)
        by_time = graph.add("Transpose", [attended], perm=[2, 0, 1, 3])
        return graph.add("Reshape", [by_time, graph.integers(0, 0, heads * per_head)])

    def _queries_keys_values(self, name: str, layer: BlockLayer, x: str) -> list[str]:
        """Three products: one would have to be cut apart again."""
        place, products, matrix = f"{name}.qkv", self._products, _array(layer.qkv.weight).T
        operand = products.operand(place, self._centred_norm(x, f"{name}.attention_norm", layer.attention_norm, place))
        bias = products.with_middle(place, self._weight(f"{place}.bias", layer.qkv.bias), matrix)
        wholes = products.matrices(f"{_PREFIX}{place}.weight", matrix, 3)
        return [
            products.product(operand, whole, part)
            for whole, part in zip(wholes, split_constant(self._graph, bias, 3), strict=True)
        ]

    def _joined(self, name: str, own: str) -> str:
        """What is kept and then the step's own, float32[kept + t, n, heads, width / heads].

        Its own are an output.
        """
        graph = self._graph
        kept = graph.input(name, TensorProto.FLOAT16, ["kept frames", *self._sizes])
        new = graph.add("Cast", [own], f"new_{name}", to=TensorProto.FLOAT16)
        # Half as many bytes are copied as after the cast.
        return graph.add("Cast", [graph.add("Concat", [kept, new], axis=0)], to=TensorProto.FLOAT)

    def _head(self, head: AlignmentHead, frames: str) -> None:
        """Of the frames with those before them, of which each of the two convolutions needs half."""
        graph, products, reach = self._graph, self._products, HEAD_REACH // 2
        x = self._gelu(self._linear(products.operand("head.inner", frames), "head.inner", head.inner))
        for number, part in enumerate(cast(Iterable[ResidualConvolution], head.convolutions)):
            name = f"head.convolutions.{number}"
            normed = products.operand(f"{name}.convolution", self._norm(x, f"{name}.norm", part.norm))
            near = self._unfolded(self._padded(normed, reach), part.convolution)
            kept = graph.add("Slice", [x, graph.integers(reach), graph.integers(_TO_THE_END), graph.integers(0)])
            found = self._convolved(near, f"{name}.convolution", part.convolution)
            x = self._sum(kept, found)
        x = self._norm(x, "head.norm", head.norm)
        self._give("frames", x)
        operand = products.operand("head.characters", x)
        for name, linear in (("characters", head.characters), ("phonemes", head.phonemes)):
            scores = self._linear(operand, f"head.{name}", linear)
            self._give(name, graph.add("LogSoftmax", [scores], axis=-1))

    def _give(self, name: str, x: str) -> None:
        """Under this name, what has time before the stream, with the stream first."""
        self._graph.add("Transpose", [x], name, perm=[1, 0, 2])

    def _name_outputs(self) -> None:
        head = self._encoder.head
        widths = (head.characters.out_features, head.phonemes.out_features, head.inner.out_features)
        for name, width in zip(OUTPUTS, (*widths, self._encoder.width), strict=True):
            self._graph.output(name, TensorProto.FLOAT, ["n", "frames", width])
        for number in range(len(self._encoder.each_layer())):
            for name in (keys_of(number), values_of(number)):
                self._graph.output(f"new_{name}", TensorProto.FLOAT16, ["frames", *self._sizes])

    def _sum(self, x: str, y: str) -> str:
        """Of two tensors of one shape [t, n, width], kept apart from the norm after it.

        ONNX Runtime would make one operator of sum and norm, which takes three times as long.
        """
        return self._graph.add("Reshape", [self._graph.add("Add", [x, y]), self._graph.integers(0, 0, -1)])

    def _padded(self, operand: Operand, rows: int) -> Operand:
        """So many rows of zeros after the last one."""
        ends = self._graph.integers(0, 0, 0, rows, 0, 0)
        return operand.of(self._graph.add("Pad", [operand.values, ends, operand.zero]))

    def _unfolded(self, operand: Operand, convolution: nn.Conv1d) -> Operand:
        """What each row of a convolution reads, side by side: [rows, n, taps · channels]."""
        graph, taps, stride = self._graph, convolution.kernel_size[0], convolution.stride[0]
        shifted = []
        for tap in range(taps):
            end = tap - taps + 1 or _TO_THE_END
            ends = (graph.integers(value) for value in (tap, end, 0, stride))
            shifted.append(graph.add("Slice", [operand.values, *ends]))
        return operand.of(graph.add("Concat", shifted, axis=2))

    def _convolved(self, near: Operand, name: str, convolution: nn.Conv1d) -> str:
        """A convolution, whose matrix is [taps · channels, out], and GELU."""
        assert convolution.bias is not None
        [matrix] = self._products.matrices(
            f"{_PREFIX}{name}.weight", _array(convolution.weight.permute(2, 1, 0).flatten(0, 1))
        )
        return self._gelu(self._products.product(near, matrix, self._weight(f"{name}.bias", convolution.bias)))

    def _linear(self, operand: Operand, name: str, linear: nn.Linear) -> str:
        [matrix] = self._products.matrices(f"{_PREFIX}{name}.weight", _array(linear.weight).T)
        return self._products.product(operand, matrix, self._weight(f"{name}.bias", linear.bias))

    def _norm(self, x: str, name: str, norm: nn.LayerNorm) -> str:
        return self._normed(x, name, norm, self._weight(f"{name}.bias", norm.bias))

    def _centred_norm(self, x: str, name: str, norm: nn.LayerNorm, place: str) -> str:
        """A norm that nothing but `place` reads, which may get its channels about 0."""
        bias = self._weight(f"{name}.bias", norm.bias)
        return self._normed(x, name, norm, self._products.without_middle(place, bias))

    def _normed(self, x: str, name: str, norm: nn.LayerNorm, bias: str) -> str:
        inputs = [x, self._weight(f"{name}.weight", norm.weight), bias]
        return self._graph.add("LayerNormalization", inputs, axis=-1, epsilon=norm.eps)

    def _gelu(self, x: str) -> str:
        return self._graph.add("Gelu", [x], domain=MICROSOFT)

    def _weight(self, name: str, value: Tensor) -> str:
        return self._graph.constant(f"{_PREFIX}{name}", _array(value))


def is_centred(place: str) -> bool:
    """Whether the norm before a module is read by it alone, so that the middle of its channels can be subtracted."""
    return place.endswith((".qkv", ".widen"))


def _array(value: Tensor) -> Floats:
    array: Floats = value.detach().numpy()
    return array
