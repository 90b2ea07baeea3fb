"""Text towers: terms, descriptions and transcripts -> unit vectors in the space that spans share."""

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from streaming.symbols import character_sequence, words_of
from training.models.heads import CharacterTower
from training.models.interfaces import Tokens
from training.models.precision import Precision, computing_in, computing_in_fp32

_DIGITS = dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True))
LONGEST_TEXT = 256
"""Letters or tokens of a text that are read; a description is longer only by accident."""


def spelled(text: str) -> list[str]:
    """The words of a text in the letters a-z and ': accents are dropped, digits are read one by one.

    >>> spelled("Poincaré map, 5G")
    ['poincare', 'map', 'five', 'g']
    """
    plain = unicodedata.normalize("NFKD", text)
    return words_of("".join(f" {_DIGITS[c]} " if c in _DIGITS else c for c in plain if not unicodedata.combining(c)))


class CharacterText(nn.Module):
    """Letters through a `CharacterTower`: small, made for terms, and quick to index with."""

    def __init__(self, dim: int, tower: CharacterTower | None = None) -> None:
        super().__init__()
        self.dim = dim
        self.tower = tower or CharacterTower(dim, longest=LONGEST_TEXT)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """`letters` int64[n, l], padded with 0; a text without letters is a word bound and no more."""
        rows = [torch.from_numpy(character_sequence(spelled(text)))[:LONGEST_TEXT].long() for text in texts]
        return {"letters": nn.utils.rnn.pad_sequence(rows, batch_first=True)}

    def forward(self, tokens: Tokens) -> Tensor:
        with computing_in_fp32(tokens["letters"].device):
            vectors: Tensor = self.tower(tokens["letters"])
        return vectors


class _PooledText(nn.Module):
    """The mean of the last layer over the tokens of a text, projected and normalised."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        dim: int,
        *,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.dim = dim
        self.precision: Precision = precision
        self.projection = nn.Linear(model.config.hidden_size, dim)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """`input_ids` and `attention_mask`, int64[n, l], of the text in lower case, padded on the right with 0."""
        # An index holds spoken forms, which have no capitals. A text without a token would have no mean, so an empty
        # one is read as a space.
        encoded = self.tokenizer(
            [text.lower() or " " for text in texts],
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=LONGEST_TEXT,
            return_tensors="pt",
        )
        mask = encoded["attention_mask"]
        return {"input_ids": encoded["input_ids"] * mask, "attention_mask": mask}

    def last_layer(self, tokens: Tokens) -> Tensor:
        """-> [n, l, hidden]; what padded places hold does not matter."""
        hidden: Tensor = self.model(**tokens).last_hidden_state
        return hidden

    def forward(self, tokens: Tokens) -> Tensor:
        mask = tokens["attention_mask"]
        with computing_in(self.precision, mask.device):
            hidden = self.last_layer(tokens)
        with computing_in_fp32(mask.device):
            weights = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
            mean = torch.einsum("nl,nlh->nh", weights, hidden.float())
            return nn.functional.normalize(self.projection(mean), dim=-1)


class Qwen2LmText(_PooledText):
    """The language model of Qwen2-Audio without its output layer.

    It attends to earlier tokens only, so padding on the right is never seen.
    """

    def last_layer(self, tokens: Tokens) -> Tensor:
        """The last layer behind the final norm, without a cache of keys and values."""
        hidden: Tensor = self.model(**tokens, use_cache=False).last_hidden_state
        return hidden


class EncoderLmText(_PooledText):
    """Any encoder of the hub (BERT, XLM-R, E5, the encoder of T5, …), attending both ways."""
