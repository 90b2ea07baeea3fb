"""A Whisper-shaped encoder that hears a stream block by block and encodes every frame once.

A block of frames attends to itself, to the blocks before it as far as it looks back, and to a few frames after it.
Those are encoded with it, provisionally, and encoded anew as part of the next block. In training all blocks go through
in one pass: behind the frames stand copies of the provisional ones, and a mask lets each block and its own copies see
each other (as in Emformer, Shi et al. 2021). The weights are those of an encoder that hears whole contexts, taught
further (`training.compact.train_blocks`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from streaming.encoding.block_shape import MEL_BEFORE, MEL_PER_FRAME, BlockShape
from training.models.heads import AlignmentHead, HeadConfig

MEL_BINS = 80
# So many frames before a block change what the head makes of it.
HEAD_REACH = 4


@dataclass(frozen=True, slots=True)
class BlockOutputs:
    """What n stretches of `blocks` blocks become.

    Attributes:
        hidden: float32[n, blocks, block, width], frames with their right context heard.
        provisional: float32[n, blocks - 1, right, width], the frames after each block but the last, as heard with it.
        characters: float32[n, blocks, block + right, 29] log-probabilities of both, the provisional ones last.
        phonemes: float32[n, blocks, block + right, 41], the same.
        features: float32[n, blocks, block + right, head width], the same. After the last block all three are padding.
    """

    hidden: Tensor
    provisional: Tensor
    characters: Tensor
    phonemes: Tensor
    features: Tensor


class BlockLayer(nn.Module):
    """Whisper's encoder layer with one product for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def parted(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values float32[n, heads, t, width / heads] of float32[n, t, width]."""
        parts = self.qkv(self.attention_norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def joined(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, given what was attended to."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = x + self.narrow(functional.gelu(self.widen(self.feed_norm(x))))
        return out

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.joined(x, functional.scaled_dot_product_attention(*self.parted(x), attn_mask=mask))


class BlockEncoder(nn.Module):
    """Log-mel -> hidden frames and what the alignment head makes of them, over whole contexts or block by block."""

    def __init__(self, width: int = 512, heads: int = 8, layers: int = 6, head: HeadConfig | None = None) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(MEL_BINS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("positions", torch.zeros(BlockShape().positions, width))
        self.layers = nn.ModuleList(BlockLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = AlignmentHead(head or HeadConfig(frame_width=width))

    def each_layer(self) -> list[BlockLayer]:
        """The layers in their order."""
        return [layer for layer in self.layers if isinstance(layer, BlockLayer)]

    def stem(self, mel: Tensor) -> Tensor:
        """Log-mel float32[n, 80, 2t] -> float32[n, t, width] without positions; beyond its ends stand zeros."""
        return functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)

    def at(self, first: Tensor, frames: int) -> Tensor:
        """Positions float32[n, frames, width] from int64[n] on; after the last one comes the first one again."""
        positions = self.get_buffer("positions")
        found: Tensor = positions[(first[:, None] + torch.arange(frames, device=first.device)) % positions.shape[0]]
        return found

    def whole(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Hidden, characters, phonemes and features of contexts float32[n, 80, 2t] in which every frame sees all."""
        x = self.stem(mel)
        x = x + self.get_buffer("positions")[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        hidden = self.norm(x)
        return hidden, *self.head(hidden)

    def forward(self, mel: Tensor, first: Tensor, shape: BlockShape, mask: Tensor) -> BlockOutputs:
        """All blocks of float32[n, 80, 2t] in one pass.

        Args:
            mel: t frames must be whole blocks.
            first: int64[n], the position of the first frame.
            shape: of the blocks.
            mask: of `block_mask` for t frames and this shape.
        """
        # A stream begins after log-mel frames of zeros, as each step sees it.
        x = self.stem(functional.pad(mel, (MEL_BEFORE, 0)))[:, MEL_BEFORE // MEL_PER_FRAME :]
        n, frames, _ = x.shape
        blocks = frames // shape.block
        places = torch.arange(1, blocks, device=mel.device)[:, None] * shape.block
        places = places + torch.arange(shape.right, device=mel.device)
        positions = self.at(first, frames)
        copies = torch.cat([x[:, places[:, :-1]], self._last_heard(mel, places[:, -1]).to(x.dtype)[:, :, None]], dim=2)
        x = torch.cat([x + positions, (copies + positions[:, places]).flatten(1, 2)], dim=1)
        for layer in self.layers:
            x = layer(x, mask)
        hidden = self.norm(x)
        kept = hidden[:, :frames].unflatten(1, (blocks, shape.block))
        provisional = hidden[:, frames:].unflatten(1, (blocks - 1, shape.right))
        before = functional.pad(kept[:, :-1, -HEAD_REACH:], (0, 0, 0, 0, 1, 0))
        heard = torch.cat([before, kept, functional.pad(provisional, (0, 0, 0, 0, 0, 1))], dim=2)
        parts = [part.unflatten(0, (n, blocks))[:, :, HEAD_REACH:] for part in self.head(heard.flatten(0, 1))]
        return BlockOutputs(kept, provisional, *parts)

    def _last_heard(self, mel: Tensor, places: Tensor) -> Tensor:
        """The frames at `places` through the convolutions, as if nothing came after them: float32[n, k, width]."""
        reach = torch.arange(-MEL_BEFORE, MEL_PER_FRAME, device=mel.device)
        near = functional.pad(mel[:, :, MEL_PER_FRAME * places[:, None] + reach], (0, 1)).permute(0, 2, 1, 3)
        x = functional.gelu(functional.conv1d(near.flatten(0, 1), self.conv1.weight, self.conv1.bias))
        x = functional.gelu(functional.conv1d(x, self.conv2.weight, self.conv2.bias))
        heard: Tensor = x[:, :, 0].unflatten(0, (len(mel), len(places)))
        return heard


def block_mask(frames: int, shape: BlockShape, device: torch.device | None = None) -> Tensor:
    """bool[t, t] with t = frames and copies: who attends to whom in `BlockEncoder.forward`.

    A block and its copies see the block, `look_back` blocks before it, and its copies; nobody else's.
    """
    blocks = frames // shape.block
    of_frames = torch.arange(frames) // shape.block
    of_copies = torch.arange(blocks - 1).repeat_interleave(shape.right)
    block = torch.cat([of_frames, of_copies])
    is_copy = torch.arange(len(block)) >= frames
    distance = block[:, None] - block[None, :]
    may_see: Tensor = ((distance >= 0) & (distance <= shape.look_back) & ~is_copy) | ((distance == 0) & is_copy)
    return may_see.to(device)
