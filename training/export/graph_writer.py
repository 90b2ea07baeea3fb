"""Writes an ONNX graph node by node, where a traced one would compute shapes at run time and miss fused operators."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

# ONNX Runtime's own operators.
MICROSOFT = "com.microsoft"
_OPSET, _IR_VERSION = 18, 8

Attribute = int | float | str | Sequence[int]


class GraphWriter:
    """Nodes in the order in which they are added; every tensor goes by its name."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """An input of a `TensorProto` kind; an axis that may have any size has a name."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: Sequence[int | str]) -> None:
        """Make the tensor of this name an output."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """A constant under a name of its own; one that is there already stays."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
        return name

    def integers(self, *values: int) -> str:
        """int64[k], as shapes, axes and ends are given."""
        return self.constant(f"integers_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def add(
        self, operator: str, inputs: Sequence[str], name: str = "", domain: str = "", **attributes: Attribute
    ) -> str:
        """A node with one output, of this name where that matters; an input "" is left out."""
        [name] = self.add_many(operator, inputs, [name or f"{operator}_{len(self._nodes)}"], domain, **attributes)
        return name

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Attribute
    ) -> list[str]:
        """A node with several outputs."""
        node = helper.make_node(operator, inputs, outputs, domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self._nodes.append(node)
        return list(outputs)

    def save(self, path: Path) -> None:
        """Write the file. Raises onnx.checker.ValidationError for a graph that is none."""
        graph = helper.make_graph(self._nodes, path.stem, self._inputs, self._outputs, [*self._constants.values()])
        sets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
