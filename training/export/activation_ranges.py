"""Between which values the activations of a block encoder lie, measured on speech: for constant int8 scales."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streaming.encoding.block_shape import MEL_PER_FRAME, BlockShape
from training.models.block_encoder import BlockEncoder, block_mask

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """What a product multiplies: `low` ≤ 0 ≤ `high` hold all of it once `middle` float32[k] is subtracted.

    A channel that is always far from 0 would widen the range of all channels. `middle` is 0 where it is not used.
    """

    low: float
    high: float
    middle: Floats


def range_of(lows: Floats, highs: Floats, *, is_centred: bool = False) -> ActivationRange:
    """Of the ends float32[k] of each channel; nothing is clipped, which costs more than coarser steps do."""
    middle = ((lows + highs) / 2).astype(np.float32) if is_centred else np.zeros_like(lows)
    return ActivationRange(min(0.0, float((lows - middle).min())), max(0.0, float((highs - middle).max())), middle)


@torch.no_grad()
def measure_ranges(
    encoder: BlockEncoder, shape: BlockShape, mels: Iterable[Floats], is_centred: Callable[[str], bool]
) -> dict[str, ActivationRange]:
    """The range of what each linear layer and each convolution reads, under the module's name.

    Args:
        encoder: runs over each stretch in the pass that trains, which gives what its steps give.
        shape: of its blocks.
        mels: log-mel float32[80, f] of stretches of speech; what is no whole block at the end is left out.
        is_centred: whether a module gets its channels with their middle subtracted.
    """
    ends: dict[str, tuple[Floats, Floats]] = {}
    with ExitStack() as hooks:
        for name, module in encoder.named_modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                hooks.callback(module.register_forward_pre_hook(_noting(ends, name)).remove)
        for mel in mels:
            frames = mel.shape[1] // MEL_PER_FRAME // shape.block * shape.block
            heard = torch.from_numpy(mel)[None, :, : frames * MEL_PER_FRAME]
            encoder(heard, torch.zeros(1, dtype=torch.int64), shape, block_mask(frames, shape))
    return {name: range_of(*found, is_centred=is_centred(name)) for name, found in ends.items()}


def _noting(ends: dict[str, tuple[Floats, Floats]], name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook that notes the least and the largest value of each channel that a module reads."""

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Channels stand before time where a convolution reads, and last elsewhere.
        by_channel = inputs[0].movedim(1 if isinstance(module, nn.Conv1d) else -1, 0).flatten(1)
        low, high = by_channel.amin(dim=1).numpy(), by_channel.amax(dim=1).numpy()
        lows, highs = ends.get(name, (low, high))
        ends[name] = np.minimum(lows, low), np.maximum(highs, high)

    return note
