"""Stretches of a cached window with the words in them, as the verifier will be asked about them.

Most hold one to four words with margins as candidates have them, some hold whatever lies in them: half a word, a pause,
seven words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from streaming.spotting.verifier import END, START
from training.compact.cache import CachedWindow
from training.loop.ports import Inputs
from training.models.verifier import FAR_BELOW

# In a window with fewer frames between the cut words hardly a crop can be made.
LEAST_USEFUL = 12

# How often a crop is made of one, two, three and four words; else it is any stretch of so many frames.
_WORDS = (0.45, 0.3, 0.17, 0.08)
_ANY_SHARE, _ANY_FRAMES = 0.2, (12, 60)
# Frames that a crop begins before its first word or ends after its last one, or the share of that word it may miss.
_OUTWARD, _INWARD = 7.0, 0.3
_SHORTEST = 6
# A word is in a crop when more of it than this is.
_HEARD_SHARE = 0.6

Heard = TypeVar("Heard", bound=Inputs)


@dataclass(frozen=True, slots=True)
class Crop:
    """Frames `first` up to `last` of a window, and the words in them."""

    first: int
    last: int
    words: tuple[str, ...]


def draw_crop(window: CachedWindow, length: int, rng: np.random.Generator) -> Crop | None:
    """A crop of a window of `length` frames; None where too little of it is left between the frames of cut words."""
    low, high = window.left_wildcard, length - window.right_wildcard
    whole = [word for word in window.words if word[1] >= low - 1 and word[2] <= high + 1]
    if not whole or rng.random() < _ANY_SHARE:
        frames = int(rng.integers(*_ANY_FRAMES))
        start = float(rng.integers(low, max(low + 1, high - frames)))
        end = start + frames
    else:
        count = int(rng.choice(len(_WORDS), p=_WORDS)) + 1
        place = int(rng.integers(0, len(whole)))
        some = whole[place : place + count]
        (_, begun, over), (_, last_begun, last_over) = some[0], some[-1]
        start = begun + rng.uniform(-_OUTWARD, _INWARD * (over - begun))
        end = last_over + rng.uniform(-_INWARD * (last_over - last_begun), _OUTWARD)
    first, last = max(low, round(start)), min(high, round(end))
    return Crop(first, last, words_within(window, first, last)) if last - first >= _SHORTEST else None


def words_within(window: CachedWindow, first: int, last: int) -> tuple[str, ...]:
    """The words of which enough lies in frames `first` up to `last` to write them down."""
    return tuple(
        word
        for word, start, end in window.words
        if min(last, end) - max(first, start) > _HEARD_SHARE * max(1.0, end - start)
    )


@dataclass(frozen=True, slots=True)
class CropGroup:
    """k crops of like length.

    Attributes:
        windows: int64[k], which of the batch each is cut from.
        first: int64[k], its first frame.
        last: int64[k], the frame after its last one.
        tokens: int64[k, l + 1]: START, the text, END and more of it as padding.
    """

    windows: Tensor
    first: Tensor
    last: Tensor
    tokens: Tensor

    def to(self, device: torch.device) -> "CropGroup":
        """The same on a device."""
        return CropGroup(*(t.to(device) for t in (self.windows, self.first, self.last, self.tokens)))

    def cut(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """float32[n, t, width] of the windows -> [k, f, width] of the crops, and what is `outside`, float32[k, f]."""
        longest = int((self.last - self.first).max())
        places = self.first[:, None] + torch.arange(longest, device=frames.device)
        outside = (places >= self.last[:, None]) * FAR_BELOW
        return frames[self.windows[:, None], places.clamp(max=frames.shape[1] - 1)], outside


@dataclass(frozen=True, slots=True)
class VerifierInputs(Generic[Heard]):
    """What frames float32[n, t, width] are made of, such as cached ones, and the crops of their windows."""

    heard: Heard
    groups: tuple[CropGroup, ...]

    def __len__(self) -> int:
        """Windows."""
        return len(self.heard)

    def to(self, device: torch.device) -> "VerifierInputs[Heard]":
        """The same on a device."""
        return VerifierInputs(self.heard.to(device), tuple(group.to(device) for group in self.groups))


@dataclass(frozen=True, slots=True)
class VerifierLabels:
    """bool[k, l] for each group: the tokens that are text or its end, and not padding."""

    is_said: tuple[Tensor, ...]

    def to(self, device: torch.device) -> "VerifierLabels":
        """The same on a device."""
        return VerifierLabels(tuple(said.to(device) for said in self.is_said))


Batch: TypeAlias = tuple[VerifierInputs[Tensor], VerifierLabels]
Text: TypeAlias = tuple[int, int, int, list[int]]
"""Window, first frame, frame after the last one, and the tokens that are said between."""


def grouped(crops: Sequence[Text]) -> tuple[CropGroup, Tensor]:
    """(window, first, last, text) of each -> the group, and which of its tokens are said."""
    windows, first, last = (torch.tensor([crop[i] for crop in crops]) for i in range(3))
    lengths = torch.tensor([len(text) for *_, text in crops])
    tokens = torch.full((len(crops), int(lengths.max()) + 2), END)
    tokens[:, 0] = START
    for row, (*_, text) in enumerate(crops):
        tokens[row, 1 : 1 + len(text)] = torch.tensor(text, dtype=torch.int64)
    is_said = torch.arange(tokens.shape[1] - 1) <= lengths[:, None]
    return CropGroup(windows, first, last, tokens), is_said


def in_groups(crops: Sequence[Text], most: int) -> tuple[tuple[CropGroup, ...], VerifierLabels]:
    """`most` groups of like length at most, the shortest crops first, so that less is padding."""
    ordered = sorted(crops, key=lambda crop: crop[2] - crop[1])
    bounds = pairwise(np.linspace(0, len(ordered), min(most, len(ordered)) + 1).round().astype(int).tolist())
    groups = [grouped(ordered[first:last]) for first, last in bounds]
    return tuple(group for group, _ in groups), VerifierLabels(tuple(said for _, said in groups))


class CropWriter:
    """Draws crops of windows and writes their words in tokens.

    Args:
        tokenizer: of the verifier.
        positions: that the verifier has; a crop with a longer text is left out.
        count: crops that are drawn of each window.
        longest: frames of a crop at most; longer ones are left out too.
    """

    def __init__(self, tokenizer: Tokenizer, positions: int, count: int, longest: int | None = None) -> None:
        self._tokenizer, self._positions, self._count, self._longest = tokenizer, positions, count, longest

    def __call__(self, window: int, cached: CachedWindow, length: int, rng: np.random.Generator) -> list[Text]:
        """Crops of the window of the number, which is `length` frames long."""
        found: list[Text] = []
        for _ in range(self._count):
            crop = draw_crop(cached, length, rng)
            if crop is None or (self._longest is not None and crop.last - crop.first > self._longest):
                continue
            text = self._tokenizer.encode(f" {' '.join(crop.words)}").ids if crop.words else []
            if len(text) < self._positions:
                found.append((window, crop.first, crop.last, text))
        return found
