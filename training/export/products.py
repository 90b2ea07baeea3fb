"""Matrix products of a written graph: in fp32, or in int8 with scales that do not depend on the rest of the batch.

ONNX Runtime's own dynamic quantisation takes one scale for a whole tensor, that is for a whole batch: the loudest
stream would change what the others get. Most products here have a constant scale instead, measured on speech; those
that read what GELU gives, whose rows differ most, have a scale for each row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.export.activation_ranges import ActivationRange
from training.export.graph_writer import MICROSOFT, GraphWriter

Floats = NDArray[np.float32]

_LEAST_SCALE = 1e-12
_MOST, _STEPS = 127, 255
# GELU gives nothing below this; so many of the 255 steps of a row are for what lies below 0.
_LEAST_OF_GELU, _BELOW_ZERO = 0.17, 16


@dataclass(frozen=True, slots=True)
class Operand:
    """What a product multiplies: a tensor [rows…, k], uint8 in an int8 graph.

    Attributes:
        values: name of the tensor.
        scale: name of its constant scale; "" in fp32.
        zero: name of what stands for 0 in it; "" in fp32.
        rows: name of float32[rows…, 1] that its values are still to be multiplied with; "" if there is none.
    """

    values: str
    scale: str = ""
    zero: str = ""
    rows: str = ""

    def of(self, values: str) -> "Operand":
        """The same for values that were moved or repeated."""
        return replace(self, values=values)


class Products(Protocol):
    """How a graph multiplies with constant matrices."""

    def operand(self, place: str, x: str) -> Operand:
        """Activations, made ready for all products that read them; `place` is the module that does."""
        ...

    def row_operand(self, x: str) -> Operand:
        """The same of what GELU gives, by its rows."""
        ...

    def matrices(self, name: str, matrix: Floats, parts: int = 1) -> list[tuple[str, str]]:
        """A constant [k, m] in so many equal parts by columns: the name of each, and of its scale ("" in fp32)."""
        ...

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str) -> str:
        """The name of float32[rows…, m]."""
        ...

    def without_middle(self, place: str, bias: str) -> str:
        """The bias [k] of a norm before `place`, so that its channels lie about 0."""
        ...

    def with_middle(self, place: str, bias: str, matrix: Floats) -> str:
        """The bias [m] of `place`, so that nothing is missing for it."""
        ...


class FloatProducts:
    """All in fp32."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph

    def operand(self, place: str, x: str) -> Operand:
        """As it is."""
        return Operand(x)

    def row_operand(self, x: str) -> Operand:
        """As it is."""
        return Operand(x)

    def matrices(self, name: str, matrix: Floats, parts: int = 1) -> list[tuple[str, str]]:
        """As they are."""
        return [(part, "") for part in _split(self._graph, self._graph.constant(name, matrix), 1, parts)]

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str) -> str:
        """Two nodes."""
        return self._graph.add("Add", [self._graph.add("MatMul", [operand.values, matrix[0]]), bias])

    def without_middle(self, place: str, bias: str) -> str:
        """As it is."""
        return bias

    def with_middle(self, place: str, bias: str, matrix: Floats) -> str:
        """As it is."""
        return bias


class WholeProducts:
    """In int8: a matrix has a scale for each column; its integers stand in the graph under `name`_whole."""

    def __init__(self, graph: GraphWriter, ranges: Mapping[str, ActivationRange]) -> None:
        self._graph, self._ranges = graph, ranges

    def operand(self, place: str, x: str) -> Operand:
        """uint8 by a constant scale; what lies beyond the range is clipped."""
        low, high = self._ranges[place].low, self._ranges[place].high
        step = max((high - low) / _STEPS, _LEAST_SCALE)
        scale = self._graph.constant(f"{place}_step", np.array(step, np.float32))
        zero = self._graph.constant(f"{place}_zero", np.array(round(-low / step), np.uint8))
        return Operand(self._graph.add("QuantizeLinear", [x, scale, zero]), scale, zero)

    def row_operand(self, x: str) -> Operand:
        """uint8 by the largest value of each row: the last steps are for it."""
        graph, above = self._graph, _STEPS - _BELOW_ZERO
        least = graph.constant("gelu_least", np.array(_LEAST_OF_GELU / _BELOW_ZERO * above, np.float32))
        largest = graph.add("ReduceMax", [x, graph.integers(-1)], keepdims=1)
        rows = graph.add("Max", [largest, least])
        scale = graph.constant("gelu_step", np.array(1 / above, np.float32))
        zero = graph.constant("gelu_zero", np.array(_BELOW_ZERO, np.uint8))
        shares = graph.add("Div", [x, rows])
        return Operand(graph.add("QuantizeLinear", [shares, scale, zero]), scale, zero, rows)

    def matrices(self, name: str, matrix: Floats, parts: int = 1) -> list[tuple[str, str]]:
        """int8; the parts are cut out by nodes that ONNX Runtime computes when it loads the graph."""
        scale = np.maximum(np.abs(matrix).max(axis=0) / _MOST, _LEAST_SCALE).astype(np.float32)
        whole = np.clip(np.round(matrix / scale), -_MOST, _MOST).astype(np.int8)
        graph = self._graph
        wholes = _split(graph, graph.constant(f"{name}_whole", whole), 1, parts)
        scales = _split(graph, graph.constant(f"{name}_scale", scale), 0, parts)
        return list(zip(wholes, scales, strict=True))

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str) -> str:
        """One node, or three where the rows have scales."""
        inputs = [operand.values, matrix[0], operand.scale, matrix[1], operand.zero]
        if not operand.rows:
            return self._graph.add("MatMulIntegerToFloat", [*inputs, "", bias], domain=MICROSOFT)
        shares = self._graph.add("MatMulIntegerToFloat", inputs, domain=MICROSOFT)
        return self._graph.add("Add", [self._graph.add("Mul", [shares, operand.rows]), bias])

    def without_middle(self, place: str, bias: str) -> str:
        """Computed when the graph is loaded: the bias itself stays in the graph."""
        middle = self._graph.constant(f"{place}_middle", self._ranges[place].middle)
        return self._graph.add("Sub", [bias, middle])

    def with_middle(self, place: str, bias: str, matrix: Floats) -> str:
        """The same."""
        moved = self._graph.constant(f"{place}_moved", self._ranges[place].middle @ matrix)
        return self._graph.add("Add", [bias, moved])


def split_constant(graph: GraphWriter, name: str, parts: int) -> list[str]:
    """A constant [m] in equal parts."""
    return _split(graph, name, 0, parts)


def _split(graph: GraphWriter, name: str, axis: int, parts: int) -> list[str]:
    if parts == 1:
        return [name]
    return graph.add_many("Split", [name], [f"{name}_{i}" for i in range(parts)], axis=axis, num_outputs=parts)
