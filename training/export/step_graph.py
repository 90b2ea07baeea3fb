"""A block encoder -> the graph of one step: a block and its right context in, over kept keys and values.

The state goes in and comes out as tensors, so a step of many streams is one pass, in which each stream gets what it
gets alone.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from streaming.encoding.block_shape import MEL_BEFORE, MEL_PER_FRAME, STEP_FILE, BlockShape, keys_of, values_of
from training.export.activation_ranges import ActivationRange
from training.export.graph_writer import GraphWriter
from training.export.products import FloatProducts, WholeProducts
from training.export.step_writer import StepWriter
from training.models.block_encoder import HEAD_REACH, MEL_BINS, BlockEncoder

NOWHERE = -1e9
# Between these the features lie: silence, and a little more than a full scale can give.
_LOG_MEL = (-1.5, 2.0)


class StepGraph(nn.Module):
    """One step of n streams in torch: what the graph is to compute, for blocks and right contexts of any length.

    Inputs, with N = block + right, K = look_back blocks of frames and L layers of H heads of D:
        mel: float32[n, 80, 2N + 2], from two log-mel frames before the block on.
        places: int64[N, n], position of each of its frames.
        unheard: float32[n, K + N], far below 0 where a kept frame is none yet, else 0.
        before: float32[n, 4, width], hidden frames before the block.
        keys_i, values_i: float16[K, n, H, D], of each layer i; the blocks in any order.

    Outputs, of the N frames, the provisional ones last: characters, phonemes, frames (features), hidden,
    and new_keys_i and new_values_i float16[N, n, H, D].
    """

    def __init__(self, encoder: BlockEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, mel: Tensor, places: Tensor, unheard: Tensor, before: Tensor, *kept: Tensor
    ) -> tuple[Tensor, ...]:
        encoder = self.encoder
        positions = encoder.get_buffer("positions")[places.T]
        x = encoder.stem(mel)[:, MEL_BEFORE // MEL_PER_FRAME :] + positions
        mask = unheard[:, None, None, :]
        new = []
        for number, layer in enumerate(encoder.each_layer()):
            queries, *own = layer.parted(x)
            own = [part.permute(2, 0, 1, 3).half() for part in own]
            pairs = zip(kept[2 * number : 2 * number + 2], own, strict=True)
            keys, values = (torch.cat(pair).permute(1, 2, 0, 3).float() for pair in pairs)
            x = layer.joined(x, nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask))
            new += own
        hidden = encoder.norm(x)
        parts = encoder.head(torch.cat([before, hidden], dim=1))
        return *(part[:, HEAD_REACH:] for part in parts), hidden, *new

    def example(self, shape: BlockShape, n: int = 1) -> dict[str, Tensor]:
        """Inputs of n streams that have heard nothing, for blocks of this shape."""
        layers, frames = self.encoder.each_layer(), shape.block + shape.right
        kept, width, heads = shape.look_back * shape.block, self.encoder.width, layers[0].heads
        state = {}
        for i in range(len(layers)):
            for name in (keys_of(i), values_of(i)):
                state[name] = torch.zeros(kept, n, heads, width // heads, dtype=torch.float16)
        return {
            "mel": torch.zeros(n, MEL_BINS, MEL_PER_FRAME * frames + MEL_BEFORE),
            "places": torch.arange(frames)[:, None].repeat(1, n),
            "unheard": nn.functional.pad(torch.full((n, kept), NOWHERE), (0, frames)),
            "before": torch.zeros(n, HEAD_REACH, width),
            **state,
        }


def export_step(encoder: BlockEncoder, ranges: Mapping[str, ActivationRange], work: Path) -> tuple[Path, Path]:
    """Write the graph of a step in fp32 and in int8 into `work`; returns both files.

    `ranges` are those of `measure_ranges` on speech, with `step_writer.is_centred`.
    """
    known = {**ranges, "conv1": ActivationRange(*_LOG_MEL, np.zeros(MEL_BINS, np.float32))}
    full, small = work / "step.fp32.onnx", work / STEP_FILE
    for path in (full, small):
        graph = GraphWriter()
        products = FloatProducts(graph) if path == full else WholeProducts(graph, known)
        StepWriter(graph, products, encoder).write()
        graph.save(path)
    return full, small
