"""A block encoder -> the graph of one step: a block and its right context in, over kept keys and values.

The state goes in and comes out as tensors, so a step of many streams is one pass. Matrix products are in int8 with a
scale for each row of the activations: what a stream gets does not depend on who else is in the batch.
"""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from streaming.encoding.block_shape import OUTPUTS, STEP_FILE, BlockShape, keys_of, values_of
from training.export.graphs import UnfoldedConvolution, export_graph, unfold_convolutions
from training.export.row_scales import quantise_rows
from training.models.block_encoder import HEAD_REACH, MEL_BEFORE, MEL_BINS, MEL_PER_FRAME, BlockEncoder

NOWHERE = -1e9


class NamedLinear(nn.Module):
    """A linear layer whose matrix keeps its name in the graph, float32[in, out]."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().T.contiguous())
        self.bias = nn.Parameter(linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def name_products(module: nn.Module) -> nn.Module:
    """The module itself, with a `NamedLinear` for every linear layer in it."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, NamedLinear(child))
    return module


class StepGraph(nn.Module):
    """One step of n streams.

    Inputs, with N = block + right, K = look_back blocks of frames and L layers of H heads of D:
        mel: float32[n, 80, 2N + 2], from two log-mel frames before the block on.
        first: int64[n], position of its first frame.
        unheard: float32[n, K], 0 where a kept frame is one, far below 0 where there is none yet.
        before: float32[n, 4, width], hidden frames before the block.
        keys_i: float16[n, H, D, K]; values_i: float16[n, H, K, D], of each layer i; the blocks in any order.

    Outputs: characters, phonemes, frames (features) and hidden of the N frames, the provisional ones last; and of the
    block alone new_keys_i float16[n, H, D, block] and new_values_i float16[n, H, block, D].
    """

    def __init__(self, encoder: BlockEncoder, shape: BlockShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = cast(BlockEncoder, name_products(unfold_convolutions(encoder)))
        # What lies before comes with the log-mel frames; beyond them stands one frame of zeros.
        for convolution in (self.encoder.conv1, self.encoder.conv2):
            cast(UnfoldedConvolution, convolution).padding = 0

    def forward(self, mel: Tensor, first: Tensor, unheard: Tensor, before: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
        encoder, shape = self.encoder, self.shape
        x = encoder.stem(functional.pad(mel, (0, 1)))
        x = x + encoder.at(first, shape.block + shape.right)
        unheard = unheard[:, None, None, :]
        new = []
        for number, layer in enumerate(encoder.each_layer()):
            q, k, v = layer.parted(x)
            k = k.transpose(2, 3)
            q = q * q.shape[3] ** -0.5
            keys, values = kept[2 * number].float(), kept[2 * number + 1].float()
            weights = torch.cat([q @ keys + unheard, q @ k], dim=3).softmax(dim=3)
            earlier = shape.look_back * shape.block
            x = layer.joined(x, weights[..., :earlier] @ values + weights[..., earlier:] @ v)
            new += [k[..., : shape.block].half(), v[:, :, : shape.block].half()]
        hidden = encoder.norm(x)
        parts = encoder.head(torch.cat([before, hidden], dim=1))
        heard = [part[:, HEAD_REACH:] for part in parts]
        return *heard, hidden, *new

    def example(self, n: int = 1) -> dict[str, Tensor]:
        """Inputs of n streams that have heard nothing."""
        shape, layers = self.shape, self.encoder.each_layer()
        kept, width = shape.look_back * shape.block, self.encoder.width
        heads = layers[0].heads
        state = {}
        for i in range(len(layers)):
            state[keys_of(i)] = torch.zeros(n, heads, width // heads, kept, dtype=torch.float16)
            state[values_of(i)] = torch.zeros(n, heads, kept, width // heads, dtype=torch.float16)
        return {
            "mel": torch.zeros(n, MEL_BINS, MEL_PER_FRAME * (shape.block + shape.right) + MEL_BEFORE),
            "first": torch.zeros(n, dtype=torch.int64),
            "unheard": torch.full((n, kept), NOWHERE),
            "before": torch.zeros(n, HEAD_REACH, width),
            **state,
        }


def export_step(encoder: BlockEncoder, shape: BlockShape, work: Path) -> tuple[Path, Path]:
    """Write the graph of a step in fp32 and in int8 into `work`; returns both files."""
    full, small = work / "step.fp32.onnx", work / STEP_FILE
    graph = StepGraph(encoder, shape).eval()
    inputs = graph.example()
    layers = range(len(encoder.each_layer()))
    outputs = [*OUTPUTS, *(f"new_{name}" for i in layers for name in (keys_of(i), values_of(i)))]
    export_graph(graph, inputs, full, outputs, {name: {0: "n"} for name in (*inputs, *outputs)})
    quantise_rows(full, small)
    return full, small
