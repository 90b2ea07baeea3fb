"""Stretches of sessions with what is heard in them, drawn anew in each step, and how they are brought to be heard."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from streaming.encoding.block_shape import BlockShape
from streaming.events import SAMPLE_RATE
from streaming.spans import FRAME_SAMPLES
from training.compact.block_sessions import StoredSession
from training.compact.cache import CachedWindow
from training.compact.windows import heard_between
from training.corpus.manifest import ManifestError
from training.speech.batch_effects import BatchEffects, change_speed, spoil

_MOST_SEED = 2**62


@dataclass(frozen=True, slots=True)
class StretchConfig:
    """What is drawn.

    Attributes:
        frames: of 20 ms in a stretch, whole blocks.
        speed: bounds of the factor by which a batch is faster.
        as_spoken: share of the batches whose speed is left alone.
        cut_margin_s: beside a cut word, nothing is sure for so long.
        collection_weights: of the time of a collection, where not 1.
    """

    frames: int = 400
    speed: tuple[float, float] = (0.88, 1.13)
    as_spoken: float = 0.35
    cut_margin_s: float = 0.06
    collection_weights: dict[str, float] = field(default_factory=lambda: {"an4": 0.35})


@dataclass(frozen=True, slots=True)
class Stretches:
    """n stretches of one speed, before anything has happened to them.

    Attributes:
        audio: float32[n, samples] as spoken; its samples become those of `frames` frames.
        first: int64[n], position of the first frame in the encoder's table.
        frames: of each.
        shape: of the blocks that they are heard in.
        effects: what happens to them; None: nothing.
        seed: of all that is drawn on the device.
    """

    audio: Tensor
    first: Tensor
    frames: int
    shape: BlockShape
    effects: BatchEffects | None
    seed: int

    def __len__(self) -> int:
        """Stretches."""
        return len(self.audio)

    def to(self, device: torch.device) -> "Stretches":
        """The same on a device."""
        audio, first = self.audio.to(device), self.first.to(device)
        return Stretches(audio, first, self.frames, self.shape, self.effects, self.seed)

    def generator(self) -> torch.Generator:
        """Of the batch, on its device, always in the same state."""
        return torch.Generator(self.audio.device).manual_seed(self.seed)

    def heard(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """At their speed: the clean sound and what has become of it, float32[n, frames · 320] both."""
        samples = self.frames * FRAME_SAMPLES
        clean = self.audio if self.audio.shape[1] == samples else change_speed(self.audio, samples)
        return clean, clean if self.effects is None else spoil(clean, self.effects, generator)


@dataclass(frozen=True, slots=True)
class Shapes:
    """Which shapes of blocks are learnt, and how often: (frames, share) of the right context, (blocks, share) back."""

    shape: BlockShape = field(default_factory=BlockShape)
    rights: tuple[tuple[int, float], ...] = ((16, 0.75), (8, 0.25))
    look_backs: tuple[tuple[int, float], ...] = ((9, 0.8), (12, 0.1), (6, 0.1))

    def drawn(self, rng: np.random.Generator) -> BlockShape:
        """One of them."""
        right, look_back = (_one_of(choices, rng) for choices in (self.rights, self.look_backs))
        return self.having(right, look_back)

    def having(self, right: int, look_back: int | None = None) -> BlockShape:
        """The one with this right context, looking back as is served where nothing else is said."""
        shape = self.shape
        return BlockShape(shape.block, right, look_back or shape.look_back, shape.positions)


def _one_of(choices: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    shares = np.array([share for _, share in choices])
    return choices[int(rng.choice(len(choices), p=shares / shares.sum()))][0]


class StretchPool:
    """Sessions, each drawn from as often as its length and the weight of its collection say.

    Raises:
        ManifestError: none of them has a weight.
    """

    def __init__(self, sessions: Sequence[StoredSession], config: StretchConfig) -> None:
        self._sessions, self._config = sessions, config
        self._margin = round(config.cut_margin_s * SAMPLE_RATE)
        weights = [len(s.audio) * config.collection_weights.get(s.collection, 1.0) for s in sessions]
        if not sum(weights) > 0:
            raise ManifestError(f"none of {len(sessions)} sessions can teach: bring recordings, or other weights")
        self._shares = np.array(weights) / sum(weights)

    def speed(self, rng: np.random.Generator) -> float:
        """Of a batch."""
        is_as_spoken = rng.random() < self._config.as_spoken
        return 1.0 if is_as_spoken else float(rng.uniform(*self._config.speed))

    def drawn(self, rng: np.random.Generator, rows: int, speed: float) -> tuple[Tensor, list[CachedWindow]]:
        """Audio float32[rows, samples] as spoken, and what is heard in it at the speed, in frames."""
        wanted = self._config.frames * FRAME_SAMPLES
        # Even, so that the spectrum has a bin for the highest frequency.
        samples = 2 * round(wanted * speed / 2)
        chosen = [self._sessions[place] for place in rng.choice(len(self._sessions), rows, p=self._shares)]
        starts = [int(rng.integers(0, max(1, len(session.audio) - samples))) for session in chosen]
        audio = np.stack([one.between(start, samples) for one, start in zip(chosen, starts, strict=True)])
        windows = [self._window(one, start, samples) for one, start in zip(chosen, starts, strict=True)]
        return torch.from_numpy(audio), windows

    def _window(self, session: StoredSession, start: int, samples: int) -> CachedWindow:
        inside, left, right = heard_between(session.words, start, samples, self._margin)
        frames = self._config.frames
        rate = frames / samples
        words = tuple((word.text, word.start_sample * rate, word.end_sample * rate) for word in inside)
        left, right = (min(frames, -int(-cut * rate // 1)) for cut in (left, right))
        return CachedWindow(words, left, right, session.collection)

    def stretches(
        self,
        rng: np.random.Generator,
        rows: int,
        shape: BlockShape,
        effects: BatchEffects | None,
    ) -> tuple[Stretches, list[CachedWindow]]:
        """A batch for training: positions and what happens to it are drawn too."""
        audio, windows = self.drawn(rng, rows, self.speed(rng))
        first = torch.from_numpy(rng.integers(0, shape.positions, rows))
        return Stretches(audio, first, self._config.frames, shape, effects, int(rng.integers(_MOST_SEED))), windows

    def held_out(self, number: int, rows: int, shape: BlockShape) -> tuple[Stretches, list[CachedWindow]]:
        """The batch of the number, always the same and clean, at positions all over the table."""
        audio, windows = self.drawn(np.random.default_rng([0, number]), rows, 1.0)
        first = torch.arange(rows) * shape.positions // rows
        return Stretches(audio, first, self._config.frames, shape, None, number), windows
