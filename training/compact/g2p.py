"""Grapheme-to-phoneme model: letters of a word -> CTC over ARPAbet, three slots a letter.

Trained on the CMU Pronouncing Dictionary (BSD-like licence; the text itself is not shipped). One pass
pronounces a whole batch, and a beam over the slots gives several pronunciations of a word, which is what
scoring wants. The way of the data: dictionary file -> `read_dictionary` -> `train_g2p` -> `training.compact.export`.
"""

import math
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from streaming.errors import TermCueError
from streaming.symbols import CHARACTERS, PHONEMES
from training.loop.checkpoint import Run, warm_cosine
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


def _batches(rows: list[Row], size: int, rng: random.Random) -> Iterable[list[Row]]:
    order = sorted(rows, key=lambda row: len(row[0]) + rng.random())
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(batches)
    return batches


def _loss(model: GraphemeToPhoneme, batch: list[Row]) -> Tensor:
    words = [word for word, _ in batch]
    targets = torch.tensor([_PHONEME_ID[p] for _, phonemes in batch for p in phonemes])
    target_lengths = torch.tensor([len(phonemes) for _, phonemes in batch])
    slot_lengths = torch.tensor([SLOTS_PER_LETTER * len(word) for word in words])
    with torch.autocast("cpu", torch.bfloat16):
        log_probs = model(letter_ids(words))
    return nn.functional.ctc_loss(
        log_probs.float().transpose(0, 1), targets, slot_lengths, target_lengths, zero_infinity=True
    )


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
    model.eval()
    right = 0
    for first in range(0, len(words), 1024):
        some = words[first : first + 1024]
        right += sum(p in allowed[w] for w, p in zip(some, greedy(model, some), strict=True))
    model.train()
    return right / max(1, len(words))


def split_words(rows: Sequence[Row], config: G2pConfig) -> tuple[list[Row], list[Row]]:
    """(training rows, held-out rows), disjoint by word; rows that cannot fit into the slots are left out."""
    rows = [(w, p) for w, p in rows if len(p) + sum(a == b for a, b in pairwise(p)) <= SLOTS_PER_LETTER * len(w)]
    words = sorted({word for word, _ in rows})
    random.Random(config.seed).shuffle(words)
    held = set(words[: int(config.held_out_share * len(words))])
    return [r for r in rows if r[0] not in held], [r for r in rows if r[0] in held]


def train_g2p(dictionary: Path, out: Path, config: G2pConfig) -> GraphemeToPhoneme:
    """Train, log one JSON line an epoch to ``out/log.jsonl``, write ``out/g2p.pt`` after each; resumes from it."""
    torch.manual_seed(config.seed)
    train_rows, held_rows = split_words(read_dictionary(dictionary), config)
    model = GraphemeToPhoneme(config)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=0.01)
    total = config.epochs * math.ceil(len(train_rows) / config.batch_words)
    run = Run(out / "g2p.pt", model, optimiser, warm_cosine(optimiser, config.warmup_steps, total))
    state = run.restore()
    first_epoch = state["epoch"] + 1 if state else 0
    for epoch in range(first_epoch, config.epochs):
        started, losses = time.monotonic(), []
        for batch in _batches(train_rows, config.batch_words, random.Random(f"{config.seed} {epoch}")):
            optimiser.zero_grad(set_to_none=True)
            loss = _loss(model, batch)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            run.schedule.step()
            losses.append(loss.item())
        row = {
            "epoch": epoch,
            "loss": round(sum(losses) / len(losses), 4),
            "held_out_word_accuracy": round(word_accuracy(model, held_rows), 4),
            "train_word_accuracy": round(word_accuracy(model, train_rows[:5000]), 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        run.save(row, epoch=epoch)
    return model
