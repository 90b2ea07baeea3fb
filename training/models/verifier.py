"""A Whisper-shaped decoder that reads one span of an encoded context: how likely is it that just this text was said?

Whisper (Radford et al. 2023) writes what it hears from the beginning of the audio to its end. Here the decoder sees the
frames of one span only and writes the words in them, in lower case, so that the probability of a term is that of its
tokens and of the end after them. The encoder's frames are those that all else is made of: nothing is encoded twice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Whisper's text begins after three tokens that name the task; its first word stands at the fourth place.
FIRST_POSITION = 3
FAR_BELOW = -1e4


@dataclass(frozen=True, slots=True)
class VerifierConfig:
    """Shape of the decoder; the defaults are those of Whisper base but for the vocabulary."""

    vocabulary: int
    width: int = 512
    layers: int = 6
    heads: int = 8
    inner: int = 2048
    positions: int = 32


class Attention(nn.Module):
    """Multi-head attention with Whisper's projections (no bias for the keys)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))
        self.k_proj = nn.Linear(width, width, bias=False)

    def _parted(self, x: Tensor) -> Tensor:
        parted: Tensor = x.unflatten(2, (self.heads, -1))
        return parted.transpose(1, 2)

    def forward(self, queries: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """float32[n, l, width] over [n or 1, t, width]; `mask` is added to the logits, [n or 1, 1, l or 1, t]."""
        q, k, v = (self._parted(p) for p in (self.q_proj(queries), self.k_proj(memory), self.v_proj(memory)))
        weights = (q @ k.transpose(2, 3) / (q.shape[3] ** 0.5) + mask).softmax(dim=3)
        out: Tensor = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return out


class DecoderLayer(nn.Module):
    """Self-attention, attention to the frames, feed-forward; each normalised before (Whisper's order)."""

    def __init__(self, config: VerifierConfig) -> None:
        super().__init__()
        self.self_attn_layer_norm, self.encoder_attn_layer_norm, self.final_layer_norm = (
            nn.LayerNorm(config.width) for _ in range(3)
        )
        self.self_attn = Attention(config.width, config.heads)
        self.encoder_attn = Attention(config.width, config.heads)
        self.fc1, self.fc2 = nn.Linear(config.width, config.inner), nn.Linear(config.inner, config.width)

    def forward(self, x: Tensor, causal: Tensor, frames: Tensor, heard: Tensor) -> Tensor:
        normed = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normed, normed, causal)
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), frames, heard)
        out: Tensor = x + self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class SpanVerifier(nn.Module):
    """Frames of a context, spans in it and token sequences -> log-probability of each token."""

    def __init__(self, config: VerifierConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.embed_positions = nn.Embedding(config.positions, config.width)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, frames: Tensor, outside: Tensor, tokens: Tensor) -> Tensor:
        """Score texts.

        Args:
            frames: float32[n, t, width], or [1, t, width] where all spans lie in one context.
            outside: float32[n, t], 0 where a frame belongs to the span, else far below 0.
            tokens: int64[n, l + 1]: the start, then the text and its end, filled up with anything.

        Returns:
            float32[n, l]: log-probability of token i + 1 after those before it.
        """
        length = tokens.shape[1] - 1
        x = self.embed_tokens(tokens[:, :-1]) + self.embed_positions.weight[:length]
        causal = torch.full((length, length), FAR_BELOW, device=x.device).triu(1)[None, None]
        heard = outside[:, None, None, :]
        for layer in self.layers:
            x = layer(x, causal, frames, heard)
        logits: Tensor = self.layer_norm(x) @ self.embed_tokens.weight.T
        return logits.log_softmax(dim=2).gather(2, tokens[:, 1:, None])[:, :, 0]


def from_whisper(weights: dict[str, Tensor], kept: Tensor, config: VerifierConfig) -> SpanVerifier:
    """Start from a pretrained Whisper's decoder.

    Args:
        weights: of a Whisper model under the hub's names, `model.decoder.…`.
        kept: int64[vocabulary], the tokens that stay, by their numbers in the model.
        config: must be of the model's width, layers and heads.

    Raises:
        RuntimeError: a weight is missing or of another shape.
    """
    prefix = "model.decoder."
    own = {name.removeprefix(prefix): w.float() for name, w in weights.items() if name.startswith(prefix)}
    own["embed_tokens.weight"] = own["embed_tokens.weight"][kept].clone()
    last = FIRST_POSITION + config.positions
    own["embed_positions.weight"] = own["embed_positions.weight"][FIRST_POSITION:last].clone()
    verifier = SpanVerifier(config)
    verifier.load_state_dict(own)
    return verifier
