"""Grapheme-to-phoneme model: letters of a word -> CTC over ARPAbet, three slots a letter.

Trained on the CMU Pronouncing Dictionary (BSD-like licence; the text itself is not shipped). One pass
pronounces a whole batch, and a beam over the slots gives several pronunciations of a word, which is what
scoring wants. The way of the data: dictionary file -> `read_dictionary` -> `train_g2p` -> `training.compact.export`.
"""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from streaming.errors import TermCueError
from streaming.symbols import CHARACTERS, PHONEMES
from training.compact.learning import part_file, train_part
from training.loop.config import OptimiserConfig, RunConfig
from training.loop.ports import Parts
from training.loop.trained_models import load_weights
from training.losses.total import Losses
from training.models.transformer import TransformerStack

SLOTS_PER_LETTER = 3
_LETTER_ID = {letter: index for index, letter in enumerate(CHARACTERS)}
_PHONEME_ID = {phoneme: index for index, phoneme in enumerate(PHONEMES)}
_HEADWORD = re.compile(r"([a-z']+)(?:\(\d+\))?")


Row = tuple[str, tuple[str, ...]]
"""A word and one of its pronunciations."""


class DictionaryError(TermCueError):
    """A pronouncing dictionary that cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class G2pConfig:
    """Size and schedule of the grapheme-to-phoneme model."""

    width: int = 256
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    batch_words: int = 512
    epochs: int = 16
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    held_out_share: float = 0.02
    seed: int = 1


def read_dictionary(path: Path) -> list[Row]:
    """CMUdict text -> (word, phonemes without stress), one row a pronunciation.

    Comments and headwords with other signs than a-z and ' are passed over.

    Raises:
        DictionaryError: the file cannot be read, holds a phoneme that is not ARPAbet, or no word at all.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DictionaryError(
            f"{path}: cannot be read as UTF-8 text ({error}); name a file in CMUdict's form"
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        headword, *symbols = line.split(" #")[0].split() or [""]
        match = _HEADWORD.fullmatch(headword.lower())
        if not match or not symbols:
            continue
        phonemes = tuple(symbol.rstrip("012") for symbol in symbols)
        if unknown := set(phonemes) - _PHONEME_ID.keys():
            raise DictionaryError(f"{path}, line {number}: {sorted(unknown)[0]!r} is no ARPAbet phoneme; mend the line")
        rows.append((match[1], phonemes))
    if not rows:
        raise DictionaryError(f"{path}: holds no line such as 'word W ER1 D'; name a file in CMUdict's form")
    return rows


def letter_ids(words: Sequence[str]) -> Tensor:
    """Words in a-z and ' -> int64[n, longest], padded with 0."""
    ids = torch.zeros(len(words), max(map(len, words)), dtype=torch.int64)
    for row, word in enumerate(words):
        ids[row, : len(word)] = torch.tensor([_LETTER_ID[letter] for letter in word])
    return ids


class GraphemeToPhoneme(nn.Module):
    """int64[n, L] letters -> float32[n, 3·L, 41] log-probabilities over ``streaming.symbols.PHONEMES``."""

    def __init__(self, config: G2pConfig, longest: int = 64) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(CHARACTERS), config.width, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(longest, config.width) * 0.02)
        self.stem = nn.Conv1d(config.width, config.width, 5, padding=2)
        self.layers = TransformerStack(config.width, config.layers, config.heads, 2 * config.width, config.dropout)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, SLOTS_PER_LETTER * len(PHONEMES))

    def forward(self, letters: Tensor) -> Tensor:
        pad = letters == 0
        x = self.letters(letters) + self.positions[: letters.shape[1]]
        # The convolution must see the same beside a short word whatever else is in the batch.
        x = x.masked_fill(pad[:, :, None], 0.0)
        x = x + nn.functional.gelu(self.stem(x.transpose(1, 2))).transpose(1, 2)
        x = self.norm(self.layers(x, pad))
        slots = self.out(x).unflatten(2, (SLOTS_PER_LETTER, len(PHONEMES))).flatten(1, 2)
        log_probs: Tensor = slots.log_softmax(-1)
        return log_probs  # [n, 3L, 41]

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All of it is new."""
        return {"new": list(self.parameters())}


@dataclass(frozen=True, slots=True)
class Pronounced:
    """Phonemes of n words in a row, int64[sum of lengths]; how many each has, and how many slots: int64[n]."""

    phonemes: Tensor
    lengths: Tensor
    slots: Tensor

    def to(self, device: torch.device) -> "Pronounced":
        """The same on a device."""
        return Pronounced(self.phonemes.to(device), self.lengths.to(device), self.slots.to(device))


class WordBatches:
    """Batches of words of like length, in an order drawn by (seed, epoch)."""

    def __init__(self, rows: Sequence[Row], config: G2pConfig) -> None:
        self._rows, self._config = rows, config

    def __len__(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self._rows) / self._config.batch_words)

    def __call__(self, epoch: int, skip: int) -> Iterator[tuple[Tensor, Pronounced]]:
        """Letters and pronunciations from step `skip` on."""
        rng, size = random.Random(f"{self._config.seed} {epoch}"), self._config.batch_words
        order = sorted(self._rows, key=lambda row: len(row[0]) + rng.random())
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(batches)
        for batch in batches[skip:]:
            words = [word for word, _ in batch]
            said = Pronounced(
                torch.tensor([_PHONEME_ID[p] for _, phonemes in batch for p in phonemes]),
                torch.tensor([len(phonemes) for _, phonemes in batch]),
                torch.tensor([SLOTS_PER_LETTER * len(word) for word in words]),
            )
            yield letter_ids(words), said


def pronouncing_loss(log_probs: Tensor, said: Pronounced) -> Losses:
    """CTC over the slots of each word."""
    slots_first = log_probs.float().transpose(0, 1)
    loss = nn.functional.ctc_loss(slots_first, said.phonemes, said.slots, said.lengths, zero_infinity=True)
    return Losses(loss, {})


def greedy(model: GraphemeToPhoneme, words: Sequence[str]) -> list[tuple[str, ...]]:
    """The most probable symbol of every slot, collapsed."""
    with torch.no_grad():
        best = model(letter_ids(words)).argmax(-1).numpy()
    found = []
    for row, word in zip(best, words, strict=True):
        ids = row[: SLOTS_PER_LETTER * len(word)]
        kept = ids[(ids != 0) & (np.diff(ids, prepend=0) != 0)]
        found.append(tuple(PHONEMES[i] for i in kept))
    return found


def word_accuracy(model: GraphemeToPhoneme, rows: Sequence[Row]) -> float:
    """Share of words whose greedy pronunciation is one of the dictionary's."""
    allowed: dict[str, set[tuple[str, ...]]] = {}
    for word, phonemes in rows:
        allowed.setdefault(word, set()).add(phonemes)
    words = sorted(allowed)
    right = 0
    for first in range(0, len(words), 1024):
        some = words[first : first + 1024]
        right += sum(p in allowed[w] for w, p in zip(some, greedy(model, some), strict=True))
    return right / max(1, len(words))


def split_words(rows: Sequence[Row], config: G2pConfig) -> tuple[list[Row], list[Row]]:
    """(training rows, held-out rows), disjoint by word; rows that cannot fit into the slots are left out."""
    rows = [(w, p) for w, p in rows if len(p) + sum(a == b for a, b in pairwise(p)) <= SLOTS_PER_LETTER * len(w)]
    words = sorted({word for word, _ in rows})
    random.Random(config.seed).shuffle(words)
    held = set(words[: int(config.held_out_share * len(words))])
    return [r for r in rows if r[0] not in held], [r for r in rows if r[0] in held]


class WordAccuracy:
    """Judges by the words that are pronounced right."""

    def __init__(self, training: Sequence[Row], held_out: Sequence[Row], config: G2pConfig) -> None:
        self._training, self._held_out, self._config = training, held_out, config

    def __call__(self, model: nn.Module, epoch: int) -> Mapping[str, float]:
        """Of held-out words, and of some of the others, in fp32 as the model will serve."""
        served = GraphemeToPhoneme(self._config)
        served.load_state_dict(model.state_dict())
        served.eval()
        return {
            "held_out_word_accuracy": word_accuracy(served, self._held_out),
            "train_word_accuracy": word_accuracy(served, self._training[:5000]),
        }


def train_g2p(dictionary: Path, out: Path, config: G2pConfig) -> GraphemeToPhoneme:
    """Run (or resume) the training in `out`; the model after the last epoch, which the checkpoint there holds."""
    torch.manual_seed(config.seed)
    training, held_out = split_words(read_dictionary(dictionary), config)
    batches = WordBatches(training, config)
    optimiser = OptimiserConfig(config.learning_rate, projection_factor=1.0, warmup_steps=config.warmup_steps)
    run = RunConfig(
        epochs=config.epochs,
        batch_size=config.batch_words,
        precision="bf16",
        seed=config.seed,
        save_path=part_file(out, "g2p"),
        judged_by="held_out_word_accuracy",
        log_every=len(batches),
    )
    learner, trained = GraphemeToPhoneme(config), GraphemeToPhoneme(config)
    parts = Parts(learner, batches, pronouncing_loss, WordAccuracy(training, held_out, config))
    load_weights(trained, train_part("g2p", parts, optimiser, run).weights, run.save_path)
    return trained.eval()
