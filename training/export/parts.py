"""The graphs of a retriever: what each is made of, how it is traced, and what the model itself gives on the same."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from streaming.features import LogMel
from training.export.graphs import unfold_convolutions
from training.models.adapters import merge_lora
from training.models.heads import AlignmentHead
from training.models.interfaces import TextTower
from training.models.precision import store_in
from training.models.retriever import DualEncoder
from training.models.text_towers import CharacterText
from training.models.true_length import TrueLengthTower

Format: TypeAlias = Literal["int8", "fp16", "fp32"]
"""Numbers of a graph: int8 matrix products, fp16 towers with fp32 heads, or fp32 throughout."""
Tower = TypeVar("Tower", bound=nn.Module)
TEXTS = ("glossary", "stochastic gradient descent", "ion", "saint giles")


@dataclass(frozen=True, slots=True)
class Part:
    """One graph.

    Attributes:
        name: of the file, without ending.
        number_format: of its weights.
        make: a copy of its modules, adapters merged, in that format; made only when it is written.
        inputs: examples, by name.
        expected: what the model gives on them, in the order of `outputs`.
        outputs: their names.
        axes: names of the axes that may change.
    """

    name: str
    number_format: Format
    make: Callable[[], nn.Module]
    inputs: Mapping[str, Tensor]
    expected: Sequence[NDArray[np.float32]]
    outputs: Sequence[str]
    axes: Mapping[str, Mapping[int, str]]


class TowerGraph(nn.Module):
    """Log-mel float32[n, mel_bins, 2t] of full length -> characters, phonemes and the features that spans pool."""

    def __init__(self, tower: TrueLengthTower, head: AlignmentHead) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out: tuple[Tensor, Tensor, Tensor] = self.head(self.tower(mel))
        return out


class TextGraph(nn.Module):
    """The named inputs of a text tower, in their order -> unit vectors."""

    def __init__(self, text: TextTower, names: Sequence[str]) -> None:
        super().__init__()
        self.text, self.names = text, tuple(names)

    def forward(self, *tokens: Tensor) -> Tensor:
        return self.text(dict(zip(self.names, tokens, strict=True)))


@torch.no_grad()
def audio_part(model: DualEncoder, contexts: Sequence[NDArray[np.float32]], number_format: Format) -> Part:
    """Log-mel -> log-probabilities and features, on contexts float32[samples]."""
    log_mel = LogMel(model.mel_bins)
    mel = torch.from_numpy(np.stack([log_mel(context) for context in contexts]))
    outputs = ("characters", "phonemes", "frames")

    def make() -> nn.Module:
        tower = _without_adapters(model.audio)
        _in_format(tower.encoder, number_format)
        tower.precision = "fp32"
        graph = TowerGraph(tower, copy.deepcopy(model.alignment).float())
        return unfold_convolutions(graph) if number_format == "int8" else graph

    lengths = torch.full((len(mel),), mel.shape[2] // 2)
    expected = [value.float().numpy() for value in model.alignment(model.audio(mel, lengths))]
    # The length of a context is fixed, so that nothing in the graph need count frames.
    return Part("audio", number_format, make, {"mel": mel}, expected, outputs, _axes("n", "mel", *outputs))


@torch.no_grad()
def spans_part(model: DualEncoder, number_format: Format) -> Part:
    """Pooled features -> unit vectors."""
    pooled = torch.randn(16, model.spans.pooled_width, generator=torch.Generator().manual_seed(0))
    expected = [model.spans(pooled).float().numpy()]

    def make() -> nn.Module:
        return copy.deepcopy(model.spans).float()

    kept: Format = "int8" if number_format == "int8" else "fp32"
    return Part("spans", kept, make, {"pooled": pooled}, expected, ("vectors",), _axes("n", "pooled", "vectors"))


@torch.no_grad()
def text_part(model: DualEncoder, number_format: Format) -> Part:
    """Letters or subword tokens of texts -> unit vectors."""
    tokens = model.text.tokenise(TEXTS)
    expected = [model.text(tokens).float().numpy()]

    def make() -> nn.Module:
        text = _without_adapters(model.text)
        if not isinstance(text, CharacterText):
            _in_format(text.model, number_format)
            text.projection.float()
            text.precision = "fp32"
        return TextGraph(text, list(tokens))

    # The character tower is small and its sums are not made for 16 bits.
    kept: Format = "fp32" if "letters" in tokens and number_format == "fp16" else number_format
    axes = {name: {0: "n", 1: "l"} for name in tokens} | {"vectors": {0: "n"}}
    return Part("text", kept, make, tokens, expected, ("vectors",), axes)


def _axes(first: str, *names: str) -> dict[str, dict[int, str]]:
    return {name: {0: first} for name in names}


def _without_adapters(tower: Tower) -> Tower:
    tower = copy.deepcopy(tower)
    merge_lora(tower)
    return tower.requires_grad_(False)


def _in_format(body: PreTrainedModel, number_format: Format) -> None:
    """Give a copied network one number format and plain attention, which traces in every format."""
    store_in(body, "fp16" if number_format == "fp16" else "fp32")
    body.set_attn_implementation("eager")
