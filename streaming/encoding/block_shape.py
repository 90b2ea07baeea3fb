"""How a block-causal encoder parts a stream, and the names in the graph of its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from streaming.features import HOP
from streaming.spans import FRAME_SAMPLES

STEP_FILE = "step.onnx"
MEL_PER_FRAME = FRAME_SAMPLES // HOP
"""Log-mel frames under a frame of the encoder: the second of Whisper's convolutions halves the rate."""
MEL_BEFORE = 2
"""A frame's convolutions reach so many log-mel frames back, and as many beyond its own less one ahead."""
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

    @classmethod
    def from_json(cls, raw: object) -> "BlockShape":
        """Read the sizes of a model's spec; one that is missing has its default.

        Raises:
            ValueError: no mapping, a name that is not known, or a size that is no whole number above 0.
        """
        if not isinstance(raw, Mapping):
            raise ValueError(f"blocks {raw!r}")
        names = {field.name for field in fields(cls)}
        sizes = {}
        for name, size in raw.items():
            # Python takes true for 1.
            if name not in names or not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"blocks: {name} = {size!r}")
            sizes[name] = size
        return cls(**sizes)


def keys_of(layer: int) -> str:
    """Name of the graph's input for the keys of a layer; what is new has "new_" before it."""
    return f"keys_{layer}"


def values_of(layer: int) -> str:
    """The same of its values."""
    return f"values_{layer}"
