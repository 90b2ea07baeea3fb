"""Matrix products of a written graph: in fp32, in int8 with one scale a run, or with scales that no run changes.

ONNX Runtime's own dynamic quantisation takes one scale for a whole tensor, that is for a whole batch. In a step of many
streams the loudest one would change what the others get: most products there have a constant scale instead, measured on
speech; those that read what GELU gives, whose rows differ most, have a scale for each row.
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
        scale: name of its scale; "" in fp32.
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

    def matrices(self, name: str, matrix: Floats, parts: int = 1) -> list[tuple[str, str]]:
        """A constant [k, m] in so many equal parts by columns: the name of each, and of its scale ("" in fp32)."""
        ...

    def table(self, name: str, rows: Floats) -> tuple[str, str]:
        """A constant [m, k] to look rows up in: its name, and that of their scales [m, 1] ("" in fp32)."""
        ...

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str = "") -> str:
        """The name of float32[rows…, m]."""
        ...


class StepProducts(Products, Protocol):
    """What the graph of a step needs beside these."""

    def row_operand(self, x: str) -> Operand:
        """Activations that GELU gives, by their rows."""
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

    def table(self, name: str, rows: Floats) -> tuple[str, str]:
        """As it is."""
        return self._graph.constant(name, rows), ""

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str = "") -> str:
        """Two nodes, or one without a bias."""
        found = self._graph.add("MatMul", [operand.values, matrix[0]])
        return self._graph.add("Add", [found, bias]) if bias else found

    def without_middle(self, place: str, bias: str) -> str:
        """As it is."""
        return bias

    def with_middle(self, place: str, bias: str, matrix: Floats) -> str:
        """As it is."""
        return bias


class _IntegerProducts:
    """In int8: a matrix has a scale for each column; its integers stand in the graph under `name`_whole."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph

    def matrices(self, name: str, matrix: Floats, parts: int = 1) -> list[tuple[str, str]]:
        """int8; the parts are cut out by nodes that ONNX Runtime computes when it loads the graph."""
        graph, (whole, scale) = self._graph, _whole(matrix)
        wholes = _split(graph, graph.constant(f"{name}_whole", whole), 1, parts)
        scales = _split(graph, graph.constant(f"{name}_scale", scale), 0, parts)
        return list(zip(wholes, scales, strict=True))

    def table(self, name: str, rows: Floats) -> tuple[str, str]:
        """int8, with a scale for each row."""
        whole, scale = _whole(rows.T)
        return self._graph.constant(f"{name}_whole", whole.T), self._graph.constant(f"{name}_scale", scale[:, None])

    def product(self, operand: Operand, matrix: tuple[str, str], bias: str = "") -> str:
        """One node, or three where the rows have scales."""
        inputs = [operand.values, matrix[0], operand.scale, matrix[1], operand.zero]
        if not operand.rows:
            inputs += ["", bias] if bias else []
            return self._graph.add("MatMulIntegerToFloat", inputs, domain=MICROSOFT)
        shares = self._graph.add("MatMulIntegerToFloat", inputs, domain=MICROSOFT)
        return self._graph.add("Add", [self._graph.add("Mul", [shares, operand.rows]), bias])


class DynamicProducts(_IntegerProducts):
    """In int8: what is multiplied has one scale, found in each run."""

    def operand(self, place: str, x: str) -> Operand:
        """uint8; ONNX Runtime makes one node of it and of a product that alone reads it."""
        names = [f"{place}_{part}" for part in ("quantised", "step", "zero")]
        return Operand(*self._graph.add_many("DynamicQuantizeLinear", [x], names))


class WholeProducts(_IntegerProducts):
    """In int8: what is multiplied has scales that do not depend on the rest of the batch."""

    def __init__(self, graph: GraphWriter, ranges: Mapping[str, ActivationRange]) -> None:
        super().__init__(graph)
        self._ranges = ranges

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


def _whole(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8[k, m] and the scale of each column."""
    scale = np.maximum(np.abs(matrix).max(axis=0) / _MOST, _LEAST_SCALE).astype(np.float32)
    return np.clip(np.round(matrix / scale), -_MOST, _MOST).astype(np.int8), scale
