"""A toy dual encoder and random batches with everything that the losses tell apart, for tests."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.interfaces import RetrieverInputs, RetrieverLabels, RetrieverOutputs, Tokens

MEL_BINS, DIM, WORDS = 6, 8, 40
CHARACTERS, PHONEMES = 29, 41


class ToyText(nn.Module):
    """Means of embedded numbers; implements `training.models.interfaces.TextTower`."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = DIM
        self.words = nn.Embedding(WORDS, DIM)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        letters = [[1 + ord(letter) % (WORDS - 1) for letter in text] for text in texts]
        longest = max(map(len, letters))
        return {"letters": torch.tensor([row + [0] * (longest - len(row)) for row in letters])}

    def forward(self, tokens: Tokens) -> Tensor:
        return nn.functional.normalize(self.words(tokens["letters"]).mean(1), dim=-1)


class ToyRetriever(nn.Module):
    """Implements `training.models.interfaces.Retriever`; `dropout` makes two passes differ."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.mel_bins, self.dim = MEL_BINS, DIM
        self.audio = nn.Linear(2 * MEL_BINS, DIM)
        self.dropout = nn.Dropout(dropout)
        self.characters = nn.Linear(DIM, CHARACTERS)
        self.phonemes = nn.Linear(DIM, PHONEMES)
        self.text = ToyText()
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, inputs: RetrieverInputs) -> RetrieverOutputs:
        pairs = inputs.mel.transpose(1, 2).unflatten(1, (-1, 2)).flatten(2)
        frames = self.dropout(torch.tanh(self.audio(pairs)))
        before = nn.functional.pad(frames.cumsum(1), (0, 0, 1, 0))
        row = torch.arange(len(frames))[:, None]
        first, end = inputs.spans.unbind(2)
        last = before[torch.arange(len(frames)), inputs.frames]
        return RetrieverOutputs(
            spans=nn.functional.normalize(before[row, end] - before[row, first], dim=-1),
            chunks=nn.functional.normalize(last, dim=-1),
            terms=self.text(inputs.terms),
            texts=None if inputs.texts is None else self.text(inputs.texts),
            characters=self.characters(frames).log_softmax(-1),
            phonemes=self.phonemes(frames).log_softmax(-1),
        )


def random_batch(
    rows: int, terms: int, spans: int = 5, frames: int = 12, seed: int = 0
) -> tuple[RetrieverInputs, RetrieverLabels]:
    """Rows with one or two terms and some with none; columns of one group, of one key and of no row; cut words.

    Args:
        rows: n, at least 1.
        terms: m, at least 1; keys are 0 … m - 1, and keys that differ by 5 share a group.
        spans: s, at least 3, of which the last is a filler.
        frames: t, at least 9.
        seed: of everything.
    """
    draw = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=draw)

    lengths = integers(8, frames + 1, rows)
    first = integers(0, 5, rows, spans)
    bounds = torch.stack([first, first + integers(1, 4, rows, spans)], 2)
    bounds[:, -1] = torch.tensor([0, 1])
    row_terms = integers(0, terms, rows, 2)
    row_terms[::2, 1] = -1
    no_term = torch.arange(rows) % 4 == 3
    row_terms[no_term] = -1
    row, place = (row_terms >= 0).nonzero(as_tuple=True)
    covering = torch.stack([row, row_terms[row, place], integers(0, spans - 1, len(row))], 1)
    keys = torch.arange(terms)
    inputs = RetrieverInputs(
        mel=torch.randn(rows, MEL_BINS, 2 * frames, generator=draw),
        frames=lengths,
        spans=bounds,
        terms={"letters": integers(1, WORDS, terms, 3)},
        texts={"letters": integers(1, WORDS, rows, 4)},
    )
    labels = RetrieverLabels(
        row_terms=row_terms,
        term_keys=keys,
        term_groups=keys % 5,
        row_groups=torch.where(row_terms < 0, row_terms, row_terms % 5),
        covering=covering,
        text_keys=integers(-1, 3, rows),
        no_term=no_term,
        characters=tuple(integers(1, CHARACTERS, i % 3) for i in range(rows)),
        phonemes=tuple(integers(1, PHONEMES, (i + 1) % 3) for i in range(rows)),
        left=integers(0, 2, rows),
        right=integers(0, 2, rows),
        frames=lengths,
        spans=bounds,
    )
    return inputs, labels
