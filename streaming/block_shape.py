"""How a block-causal encoder parts a stream, and the names in the graph of its steps."""

from dataclasses import dataclass

STEP_FILE = "step.onnx"
OUTPUTS = ("characters", "phonemes", "frames", "hidden")


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Sizes in frames of 20 ms, but for `look_back`.

    Attributes:
        block: frames that become final together.
        right: frames after a block that are heard with it, as its right context.
        look_back: blocks before a block whose keys and values it attends to.
        positions: rows of the position table; a stream goes round it for ever.
    """

    block: int = 16
    right: int = 16
    look_back: int = 9
    positions: int = 1500


def keys_of(layer: int) -> str:
    """Name of the graph's input for the keys of a layer; what is new has "new_" before it."""
    return f"keys_{layer}"


def values_of(layer: int) -> str:
    """The same of its values."""
    return f"values_{layer}"
