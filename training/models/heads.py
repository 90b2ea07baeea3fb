"""What stands on the encoder's frames: the alignment head and, beside it, span and term embeddings."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from streaming.symbols import CHARACTERS, PHONEMES
from training.models.transformer import TransformerStack


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Widths of the heads."""

    frame_width: int = 512
    width: int = 384
    kernel: int = 5
    dropout: float = 0.1


class ResidualConvolution(nn.Module):
    """Frames float32[n, t, width] plus a convolution of their norms."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.convolution = nn.Conv1d(config.width, config.width, config.kernel, padding=config.kernel // 2)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        y = self.norm(x)
        if valid is not None:
            y = y * valid[:, :, None]
        y = self.convolution(y.transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.dropout(nn.functional.gelu(y))
        return out


class AlignmentHead(nn.Module):
    """Frames float32[n, t, frame_width] -> features [n, t, width] and the log-probabilities of both alphabets.

    `valid` bool[n, t] keeps the padding of a batch from its rows; None where no row is padded.
    Returns characters float32[n, t, 29], phonemes float32[n, t, 41], features float32[n, t, width].
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.frame_width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.convolutions = nn.Sequential(ResidualConvolution(config), ResidualConvolution(config))
        self.norm = nn.LayerNorm(config.width)
        self.characters = nn.Linear(config.width, len(CHARACTERS))
        self.phonemes = nn.Linear(config.width, len(PHONEMES))

    def forward(self, frames: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x = self.dropout(nn.functional.gelu(self.inner(frames)))
        for convolution in self.convolutions:
            x = convolution(x, valid)
        x = self.norm(x)
        return self.characters(x).log_softmax(-1), self.phonemes(x).log_softmax(-1), x


class SpanTower(nn.Module):
    """Pooled spans float32[n, 6·width] -> unit vectors float32[n, dim]."""

    def __init__(self, pooled_width: int, dim: int, hidden: int = 512) -> None:
        super().__init__()
        self.pooled_width = pooled_width
        self.layers = nn.Sequential(
            nn.LayerNorm(pooled_width), nn.Linear(pooled_width, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )

    def forward(self, pooled: Tensor) -> Tensor:
        vectors: Tensor = nn.functional.normalize(self.layers(pooled), dim=-1)
        return vectors


class CharacterTower(nn.Module):
    """Character ids int64[n, l] (0 pads) -> unit vectors float32[n, dim]: a small transformer, six learnt poolings."""

    def __init__(self, dim: int, width: int = 256, layers: int = 3, heads: int = 4, longest: int = 256) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(CHARACTERS), width, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.stem = nn.Conv1d(width, width, 5, padding=2)
        self.layers = TransformerStack(width, layers, heads, 3 * width, dropout=0.1)
        self.query = nn.Linear(width, 6)
        self.out = nn.Linear(6 * width, dim)

    def forward(self, letters: Tensor) -> Tensor:
        pad = letters == 0
        x = self.letters(letters) + self.positions[: letters.shape[1]]
        # The convolution must see the same beside a short text whatever else is in the batch.
        x = x.masked_fill(pad[:, :, None], 0.0)
        x = x + nn.functional.gelu(self.stem(x.transpose(1, 2))).transpose(1, 2)
        x = self.layers(x, pad)
        # Six learnt poolings mirror the six parts into which a span is cut.
        weights = self.query(x).masked_fill(pad[:, :, None], float("-inf")).softmax(1)  # [n, l, 6]
        pooled = torch.einsum("nlw,nlq->nqw", x, weights).flatten(1)
        return nn.functional.normalize(self.out(pooled), dim=-1)
