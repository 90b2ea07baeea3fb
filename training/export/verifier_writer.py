"""The graph of the verifier, written for few nodes and no copies, as that of a step is.

Place comes before text ([l, n, …]), so that the heads of all texts are multiplied where they lie. Keys and values of
the frames are computed once for all texts: to them, the places of all texts are rows of one matrix. The embedding
stands in the graph once, by rows; that it is compared with too is what ONNX Runtime turns when it loads the graph.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from streaming.spotting.verifier import END
from training.export.graph_writer import MICROSOFT, GraphWriter
from training.export.products import Operand, Products
from training.models.verifier import FAR_BELOW, Attention, DecoderLayer, SpanVerifier

Floats = NDArray[np.float32]

# Parameters go by their names in `SpanVerifier`, with this before them.
PREFIX = "verifier."
_TO_THE_END = 2**63 - 1


class VerifierWriter:
    """Adds the nodes of one verifier to a graph.

    Args:
        graph: empty as yet.
        products: how it multiplies.
        verifier: whose weights go in.
    """

    def __init__(self, graph: GraphWriter, products: Products, verifier: SpanVerifier) -> None:
        self._graph, self._products, self._verifier = graph, products, verifier
        self._table = products.table(f"{PREFIX}embed_tokens.weight", _array(verifier.embed_tokens.weight))

    def write(self) -> None:
        """Inputs and output of `SpanVerifier.forward`, where all spans lie in one context.

        frames: float32[1, t, width]; outside: float32[n, t]; tokens: int64[n, l + 1]; log_probs: float32[n, l]. What
        comes after the end of a text is not computed if the text is filled up with ends: it is 0.
        """
        graph, width = self._graph, self._verifier.config.width
        frames = graph.input("frames", TensorProto.FLOAT, [1, "t", width])
        outside = graph.input("outside", TensorProto.FLOAT, ["n", "t"])
        texts = graph.input("tokens", TensorProto.INT64, ["n", "places and one"])
        tokens = graph.add("Transpose", [texts], perm=[1, 0])
        said = graph.add("Slice", [tokens, graph.integers(0), graph.integers(-1), graph.integers(0)])
        wanted = graph.add("Slice", [tokens, graph.integers(1), graph.integers(_TO_THE_END), graph.integers(0)])
        # The only sizes that are asked for: places and texts.
        sizes = graph.add("Shape", [said])
        length = graph.add("Slice", [sizes, graph.integers(0), graph.integers(1)])
        x = self._embedded(said, length)
        later, heard = self._later(length), self._heard(outside, sizes)
        joined = graph.add("Concat", [sizes, graph.integers(width)], axis=0)
        memory = self._products.operand("frames", frames)
        for number, layer in enumerate(self._verifier.layers):
            assert isinstance(layer, DecoderLayer)
            x = self._layer(f"layers.{number}", layer, x, later, memory, heard, joined)
        found = self._log_probs(self._normed("layer_norm", self._verifier.layer_norm, x), said, wanted, sizes)
        graph.add("Transpose", [found], "log_probs", perm=[1, 0])
        graph.output("log_probs", TensorProto.FLOAT, ["n", "places"])

    def _embedded(self, said: str, length: str) -> str:
        """float32[l, n, width] of tokens at their places."""
        graph, (rows, scale) = self._graph, self._table
        x = graph.add("Gather", [rows, said], axis=0)
        if scale:
            whole = graph.add("Cast", [x], to=TensorProto.FLOAT)
            x = graph.add("Mul", [whole, graph.add("Gather", [scale, said], axis=0)])
        table = self._weight("embed_positions.weight", self._verifier.embed_positions.weight)
        places = graph.add("Unsqueeze", [table, graph.integers(1)])
        return graph.add("Add", [x, graph.add("Slice", [places, graph.integers(0), length, graph.integers(0)])])

    def _later(self, length: str) -> str:
        """float32[l, l], far below 0 where a place would see one after it."""
        graph, positions = self._graph, self._verifier.config.positions
        whole = graph.constant("later", np.triu(np.full((positions, positions), FAR_BELOW, np.float32), 1))
        ends = graph.add("Concat", [length, length], axis=0)
        return graph.add("Slice", [whole, graph.integers(0, 0), ends, graph.integers(0, 1)])

    def _heard(self, outside: str, sizes: str) -> str:
        """float32[1, l · n, t]: what lies outside the span of each text, for all its places."""
        graph = self._graph
        repeated = graph.add("Expand", [outside, graph.add("Concat", [sizes, graph.integers(1)], axis=0)])
        return graph.add("Reshape", [repeated, graph.integers(1, -1, 0)])

    def _layer(
        self, name: str, layer: DecoderLayer, x: str, later: str, memory: Operand, heard: str, joined: str
    ) -> str:
        graph = self._graph
        own, across, last = (f"{name}.{part}" for part in ("self_attn", "encoder_attn", "final"))
        normed = self._normed(f"{own}_layer_norm", layer.self_attn_layer_norm, x)
        x = graph.add("Add", [x, self._own_attention(own, layer.self_attn, normed, later)])
        normed = self._normed(f"{across}_layer_norm", layer.encoder_attn_layer_norm, x)
        x = graph.add("Add", [x, self._attention(across, layer.encoder_attn, normed, memory, heard, joined)])
        normed = self._normed(f"{last}_layer_norm", layer.final_layer_norm, x)
        wide = self._product(f"{name}.fc1", layer.fc1, normed)
        active = graph.add("Gelu", [wide], domain=MICROSOFT)
        return graph.add("Add", [x, self._linear(f"{name}.fc2", layer.fc2, active)])

    def _own_attention(self, name: str, attention: Attention, normed: Operand, later: str) -> str:
        """float32[l, n, width] of what each place attends to in its own text."""
        queries, keys, values = self._parted(name, attention, ("q_proj", "k_proj", "v_proj"), normed, (0, 0))
        by_place = self._graph.add("Transpose", [self._attended(queries, keys, values, later)], perm=[2, 0, 1, 3])
        flat = self._graph.add("Reshape", [by_place, self._graph.integers(0, 0, -1)])
        return self._linear(f"{name}.out_proj", attention.out_proj, flat)

    def _attention(
        self, name: str, attention: Attention, normed: Operand, memory: Operand, heard: str, joined: str
    ) -> str:
        """float32[l, n, width], whose sizes are `joined`, of what each place attends to in the frames."""
        # Named before the queries, these are computed when they are needed and not, for all layers, at the beginning.
        keys, values = self._parted(name, attention, ("k_proj", "v_proj"), memory, (-1,))
        [queries] = self._parted(name, attention, ("q_proj",), normed, (-1,))
        by_place = self._graph.add("Transpose", [self._attended(queries, keys, values, heard)], perm=[1, 0, 2])
        flat = self._graph.add("Reshape", [by_place, joined])
        return self._linear(f"{name}.out_proj", attention.out_proj, flat)

    def _parted(
        self, name: str, attention: Attention, parts: Sequence[str], operand: Operand, places: Sequence[int]
    ) -> list[str]:
        """Of each part float32[*places, heads, width / heads], from one product of matrices side by side.

        With as few rows as texts have that is quicker than a product for each, although it is cut apart again.
        """
        graph, heads, width = self._graph, attention.heads, self._verifier.config.width
        linears = {f"{name}.{part}": getattr(attention, part) for part in parts}
        wholes, scales = zip(*(self._matrix(*one) for one in linears.items()), strict=True)
        matrix = self._side_by_side(wholes, 1), self._side_by_side(scales, 0) if scales[0] else ""
        bias = self._side_by_side([self._bias(*one) for one in linears.items()], 0)
        sizes = graph.integers(*places, len(parts) * heads, width // heads)
        found = graph.add("Reshape", [self._products.product(operand, matrix, bias), sizes])
        if len(parts) == 1:
            return [found]
        return graph.add_many("Split", [found], [f"{one}.heads" for one in linears], axis=-2, num_outputs=len(parts))

    def _attended(self, queries: str, keys: str, values: str, mask: str) -> str:
        """float32[…, heads, places, width / heads]; the places come first in what goes in."""
        graph, per_head = self._graph, self._verifier.config.width // self._verifier.config.heads
        scores = graph.add(
            "FusedMatMul", [queries, keys], "", MICROSOFT,
            transBatchA=1, transBatchB=1, transB=1, alpha=float(per_head**-0.5),
        )  # fmt: skip
        weights = graph.add("Softmax", [graph.add("Add", [scores, mask])], axis=-1)
        return graph.add("FusedMatMul", [weights, values], domain=MICROSOFT, transBatchB=1)

    def _log_probs(self, normed: Operand, said: str, wanted: str, sizes: str) -> str:
        """float32[l, n]; computed before the end of a text only: comparing with all tokens is a fifth of a run."""
        graph, (rows, scale) = self._graph, self._table
        is_open = graph.add("Sub", [said, graph.integers(END)])
        places = graph.add("Transpose", [graph.add("NonZero", [is_open])], perm=[1, 0])
        # All of them have been quantised together, so that this changes no integer.
        some = normed.of(graph.add("GatherND", [normed.values, places]))
        turned = graph.add("Transpose", [rows], perm=[1, 0])
        scales = graph.add("Reshape", [scale, graph.integers(-1)]) if scale else ""
        every = graph.add("LogSoftmax", [self._products.product(some, (turned, scales))], axis=-1)
        tokens = graph.add("Unsqueeze", [graph.add("GatherND", [wanted, places]), graph.integers(1)])
        found = graph.add("Squeeze", [graph.add("GatherElements", [every, tokens], axis=1), graph.integers(1)])
        return graph.add("ScatterND", [graph.add("ConstantOfShape", [sizes]), places, found])

    def _normed(self, name: str, norm: nn.LayerNorm, x: str) -> Operand:
        inputs = [x, self._weight(f"{name}.weight", norm.weight), self._weight(f"{name}.bias", norm.bias)]
        return self._products.operand(name, self._graph.add("LayerNormalization", inputs, axis=-1, epsilon=norm.eps))

    def _linear(self, name: str, linear: nn.Linear, x: str) -> str:
        return self._product(name, linear, self._products.operand(name, x))

    def _product(self, name: str, linear: nn.Linear, operand: Operand) -> str:
        return self._products.product(operand, self._matrix(name, linear), self._bias(name, linear))

    def _matrix(self, name: str, linear: nn.Linear) -> tuple[str, str]:
        [matrix] = self._products.matrices(f"{PREFIX}{name}.weight", _array(linear.weight).T)
        return matrix

    def _bias(self, name: str, linear: nn.Linear) -> str:
        """That of the keys, which have none, is 0."""
        bias: Tensor | None = linear.bias
        if bias is None:
            return self._graph.constant("no_bias", np.zeros(linear.out_features, np.float32))
        return self._weight(f"{name}.bias", bias)

    def _side_by_side(self, constants: Sequence[str], axis: int) -> str:
        """Joined when the graph is loaded."""
        return constants[0] if len(constants) == 1 else self._graph.add("Concat", constants, axis=axis)

    def _weight(self, name: str, value: Tensor) -> str:
        return self._graph.constant(f"{PREFIX}{name}", _array(value))


def _array(value: Tensor) -> Floats:
    array: Floats = value.detach().numpy()
    return array
