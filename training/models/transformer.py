"""A pre-norm transformer over padded symbol sequences, in plain products so that ONNX keeps both axes free.

Vaswani et al., "Attention Is All You Need" (2017); parameters are named as in ``torch.nn.TransformerEncoder``.
"""

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """float32[n, l, width] and the padding bool[n, l] -> float32[n, l, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        projected = x @ self.in_proj_weight.T + self.in_proj_bias
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected.chunk(3, dim=-1)
        )  # [n, heads, l, width / heads]
        scores = query @ key.transpose(2, 3) * self.scale
        weights = scores.masked_fill(pad[:, None, None, :], float("-inf")).softmax(-1)
        out: Tensor = self.out_proj((weights @ value).transpose(1, 2).flatten(2))
        return out


class TransformerLayer(nn.Module):
    """Attention and a feed-forward part, each behind a norm and beside a short cut."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        x = x + self.dropout(self.self_attn(self.norm1(x), pad))
        inner = self.dropout(nn.functional.gelu(self.linear1(self.norm2(x))))
        out: Tensor = x + self.dropout(self.linear2(inner))
        return out


class TransformerStack(nn.Module):
    """Layers one after the other; a row must not be all padding."""

    def __init__(self, width: int, layers: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(width, heads, inner, dropout) for _ in range(layers))

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, pad)
        return x
