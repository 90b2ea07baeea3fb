"""What a block encoder keeps of one stream between two steps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.encoding.block_shape import BlockShape

# Added to the attention's logits where no block has been kept yet.
_UNHEARD = np.float32(-1e9)

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class StateShape:
    """Layers, heads, width of a head and of a frame, and hidden frames that the alignment head needs from before."""

    layers: int
    heads: int
    head_width: int
    width: int
    reach: int


@dataclass(frozen=True, slots=True)
class BlockStep:
    """One step's inputs: blocks and their right context over what is kept.

    Attributes:
        mel: float32[mel bins, 2·(blocks + right) + 2].
        first: position of the first frame.
        unheard: float32[kept], 0 where a kept frame is one.
        before: float32[reach, width], hidden frames before the blocks.
        keys: float16[kept, heads, head width] of each layer.
        values: the same shape.
    """

    mel: Floats
    first: int
    unheard: Floats
    before: Floats
    keys: tuple[Halves, ...]
    values: tuple[Halves, ...]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step gives of its frames, the provisional ones last.

    `characters`, `phonemes`, `frames`, `hidden` float32[blocks + right, …]; of each layer `keys` and `values`
    float16[blocks + right, heads, head width].
    """

    characters: Floats
    phonemes: Floats
    frames: Floats
    hidden: Floats
    keys: tuple[Halves, ...]
    values: tuple[Halves, ...]


class BlockState:
    """Keys and values of the last `look_back` blocks, of fixed size."""

    def __init__(self, blocks: BlockShape, shape: StateShape) -> None:
        self._blocks, self._shape = blocks, shape
        kept = blocks.look_back * blocks.block
        self._unheard = np.full(kept, _UNHEARD, np.float32)
        sizes = (kept, shape.heads, shape.head_width)
        self._keys = tuple(np.zeros(sizes, np.float16) for _ in range(shape.layers))
        self._values = tuple(np.zeros(sizes, np.float16) for _ in range(shape.layers))
        self._before = np.zeros((shape.reach, shape.width), np.float32)
        self._count = 0

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        halves = sum(layer.nbytes for layer in (*self._keys, *self._values))
        return halves + self._unheard.nbytes + self._before.nbytes

    def step(self, mel: Floats) -> BlockStep:
        """The inputs of the next blocks."""
        first = self._count * self._blocks.block % self._blocks.positions
        return BlockStep(mel, first, self._unheard, self._before, self._keys, self._values)

    def keep(self, result: StepResult) -> None:
        """The next blocks, one or more, have become this; as many of the oldest are forgotten."""
        block, final = self._blocks.block, len(result.characters) - self._blocks.right
        for start in range(0, final, block):
            first = self._count % self._blocks.look_back * block
            place, rows = slice(first, first + block), slice(start, start + block)
            for kept, new in zip((*self._keys, *self._values), (*result.keys, *result.values), strict=True):
                kept[place] = new[rows]
            self._unheard[place] = 0.0
            self._count += 1
        self._before = result.hidden[final - self._shape.reach : final].copy()

    def forget(self) -> None:
        """Begin anew; what the arrays hold is not heard any more."""
        self._unheard[:] = _UNHEARD
        self._before = np.zeros_like(self._before)
        self._count = 0

    def copy(self) -> "BlockState":
        """An equal state that goes its own way."""
        other = BlockState(self._blocks, self._shape)
        other._unheard, other._before, other._count = self._unheard.copy(), self._before.copy(), self._count
        other._keys = tuple(layer.copy() for layer in self._keys)
        other._values = tuple(layer.copy() for layer in self._values)
        return other
