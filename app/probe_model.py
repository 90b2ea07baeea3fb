"""The smallest ONNX model that computes: one product of two 2x2 matrices, written out by hand.

`termcue doctor` runs it on every provider, so it must need neither the onnx package nor a model folder. Field
numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, ValueInfoProto).
"""

IR_VERSION = 8
OPSET = 17
FLOAT = 1


def matmul_model() -> bytes:
    """A serialized model: inputs `left` and `right`, output `product`, each float32[2, 2]."""
    node = _text(1, "left") + _text(1, "right") + _text(2, "product") + _text(4, "MatMul")
    graph = _message(1, node) + _text(2, "probe")
    graph += _message(11, _matrix("left")) + _message(11, _matrix("right")) + _message(12, _matrix("product"))
    return _number(1, IR_VERSION) + _message(7, graph) + _message(8, _text(1, "") + _number(2, OPSET))


def _matrix(name: str) -> bytes:
    dimension = _message(1, _number(1, 2))
    tensor = _number(1, FLOAT) + _message(2, dimension + dimension)
    return _text(1, name) + _message(2, _message(1, tensor))


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3, value])


def _message(field: int, payload: bytes) -> bytes:
    # No part of this model reaches 128 bytes, so that a length is one byte.
    return bytes([field << 3 | 2, len(payload)]) + payload


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())
