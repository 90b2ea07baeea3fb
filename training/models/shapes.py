"""Sizes of the towers on paper: weights, bytes kept for the backward pass and products, without a library or a weight.

Activations count what autograd keeps for one token of one layer with fused attention, after Korthikanti et al.,
"Reducing Activation Recomputation in Large Transformer Models" (2022), and were measured on small models; `size` is the
bytes of a number in the format of the forward pass.
"""

from dataclasses import dataclass
from typing import Protocol


class Shape(Protocol):
    """A stack of equal layers on something that turns input into tokens."""

    @property
    def width(self) -> int:
        """Numbers of a token between layers."""
        ...

    @property
    def layers(self) -> int:
        """How many there are."""
        ...

    @property
    def front(self) -> int:
        """Weights before the first and after the last layer."""
        ...

    @property
    def layer(self) -> int:
        """Weights of a layer."""
        ...

    @property
    def always_frozen(self) -> int:
        """Weights of the front that never learn."""
        ...

    @property
    def looked_up(self) -> int:
        """Weights of the front that take part in no product."""
        ...

    def linear(self) -> dict[str, tuple[int, int]]:
        """Name of each linear module of a layer -> width in and out."""
        ...

    def kept(self, size: int) -> int:
        """Bytes that one token of one layer keeps for the backward pass."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """An encoder as Whisper's and Qwen2-Audio's (by default the published one of Qwen2-Audio-7B)."""

    width: int = 1280
    layers: int = 32
    inner: int = 5120
    mel_bins: int = 128
    positions: int = 1500

    @property
    def front(self) -> int:
        """Two convolutions, positions, last norm."""
        w = self.width
        return 3 * w * (self.mel_bins + w) + 2 * w + self.always_frozen + 2 * w

    @property
    def layer(self) -> int:
        """Attention (the keys without a bias), feed-forward part and two norms."""
        w, f = self.width, self.inner
        return 4 * w * w + 3 * w + 2 * w * f + f + w + 4 * w

    @property
    def always_frozen(self) -> int:
        """The table of positions."""
        return self.positions * self.width

    @property
    def looked_up(self) -> int:
        """The table of positions."""
        return self.always_frozen

    def linear(self) -> dict[str, tuple[int, int]]:
        """As the library names them."""
        w, f = self.width, self.inner
        return dict.fromkeys(("q_proj", "k_proj", "v_proj", "out_proj"), (w, w)) | {"fc1": (w, f), "fc2": (f, w)}

    def kept(self, size: int) -> int:
        """Inputs of norms and products, queries, keys, values."""
        return size * (9 * self.width + 2 * self.inner)


@dataclass(frozen=True, slots=True)
class LanguageModelShape:
    """Qwen2 without its output layer (by default the published one inside Qwen2-Audio-7B)."""

    width: int = 4096
    layers: int = 32
    inner: int = 11_008
    heads: int = 32
    key_heads: int = 32
    vocabulary: int = 156_032

    @property
    def front(self) -> int:
        """Embeddings and last norm."""
        return self.looked_up + self.width

    @property
    def layer(self) -> int:
        """Attention, gated feed-forward part and two norms."""
        products = sum(fan_in * fan_out for fan_in, fan_out in self.linear().values())
        return products + self.width + 2 * self._key_width + 2 * self.width

    @property
    def _key_width(self) -> int:
        return self.width // self.heads * self.key_heads

    @property
    def always_frozen(self) -> int:
        """None: rotary positions are no weights."""
        return 0

    @property
    def looked_up(self) -> int:
        """The embeddings."""
        return self.vocabulary * self.width

    def linear(self) -> dict[str, tuple[int, int]]:
        """As the library names them."""
        w, f, k = self.width, self.inner, self._key_width
        attention = {"q_proj": (w, w), "k_proj": (w, k), "v_proj": (w, k), "o_proj": (w, w)}
        return attention | {"gate_proj": (w, f), "up_proj": (w, f), "down_proj": (f, w)}

    def kept(self, size: int) -> int:
        """As in an encoder; the norms and the turned queries and keys are in fp32 whatever the format."""
        return 28 * self.width + size * (3 * self.width + 4 * self.inner)


@dataclass(frozen=True, slots=True)
class BertShape:
    """A BERT without its pooler (by default the base size)."""

    width: int = 768
    layers: int = 12
    inner: int = 3072
    vocabulary: int = 30_522
    positions: int = 512
    kinds: int = 2

    @property
    def front(self) -> int:
        """Three tables and their norm."""
        return self.looked_up + 2 * self.width

    @property
    def layer(self) -> int:
        """Attention, feed-forward part and two norms."""
        w, f = self.width, self.inner
        return 4 * (w * w + w) + 2 * w * f + f + w + 4 * w

    @property
    def always_frozen(self) -> int:
        """None."""
        return 0

    @property
    def looked_up(self) -> int:
        """Words, positions and kinds of segments."""
        return (self.vocabulary + self.positions + self.kinds) * self.width

    def linear(self) -> dict[str, tuple[int, int]]:
        """As the library names them, three of them `dense`."""
        w, f = self.width, self.inner
        dense = {"attention.output.dense": (w, w), "intermediate.dense": (w, f), "output.dense": (f, w)}
        return dict.fromkeys(("query", "key", "value"), (w, w)) | dense

    def kept(self, size: int) -> int:
        """As in an encoder, with three masks of dropout."""
        return size * (9 * self.width + 2 * self.inner) + 3 * self.width


@dataclass(frozen=True, slots=True)
class CharacterShape:
    """The tower of letters (`training.models.heads.CharacterTower`)."""

    dim: int
    width: int = 256
    layers: int = 3
    letters: int = 29
    positions: int = 256

    @property
    def front(self) -> int:
        """Two tables, the stem, the six poolings and the way out."""
        w = self.width
        return self.looked_up + 5 * w * w + w + 6 * w + 6 + 6 * w * self.dim + self.dim

    @property
    def layer(self) -> int:
        """Attention, feed-forward part of three widths and two norms."""
        w, f = self.width, 3 * self.width
        return 4 * (w * w + w) + 2 * w * f + f + w + 4 * w

    @property
    def always_frozen(self) -> int:
        """None."""
        return 0

    @property
    def looked_up(self) -> int:
        """Letters and positions."""
        return (self.letters + self.positions) * self.width

    def linear(self) -> dict[str, tuple[int, int]]:
        """None that adapters are put on."""
        return {}

    def kept(self, size: int) -> int:
        """Always fp32; attention is not fused, for the sake of export, and its scores are short."""
        del size
        return 4 * (16 * self.width + 2 * 3 * self.width)
