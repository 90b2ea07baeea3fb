"""Crops of served frames, each as it was heard when the verifier would be asked about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.compact.cache import CachedWindow
from training.compact.crops import Batch, CropWriter, Text, VerifierInputs, in_groups
from training.compact.served_speech import ServedSession
from training.compact.train_verifier import VerifierSchedule
from training.corpus.manifest import ManifestError


def _schedule() -> VerifierSchedule:
    return VerifierSchedule(
        steps=2000,
        batch_windows=64,
        crops_per_window=1,
        rate=3e-5,
        attention_factor=2.0,
        warmup_steps=100,
        average=0.995,
        held_out_windows=768,
        seed=4,
        precision="fp32",
    )


@dataclass(frozen=True, slots=True)
class ServedVerifierConfig:
    """How a finished folder's verifier goes on learning.

    Attributes:
        copies: passes over real speech with rooms, noise and telephones, beside the clean one.
        collection_weights: of the time of a collection, where not 1.
        waited: frames that a stream has heard behind a candidate and its margin when it asks.
        later_share: of the crops, asked about a block later than at the earliest.
        noise: a crop gets up to so many deviations of it.
        longest: frames of a crop.
        groups: of like length, in which crops are passed.
    """

    schedule: VerifierSchedule = field(default_factory=_schedule)
    copies: int = 1
    collection_weights: dict[str, float] = field(default_factory=lambda: {"an4": 0.35})
    waited: int = 1
    later_share: float = 0.4
    noise: float = 0.1
    longest: int = 120
    groups: int = 6


class ServedCropSampler:
    """Batches of crops of sessions, drawn by (seed, epoch, step).

    Args:
        sessions: each drawn from as often as its length and the weight of its collection say.
        tokenizer: of the verifier.
        positions: that the verifier has; crops with a longer text are left out.
        config: how many, and how they are heard.

    Raises:
        ManifestError: no session has a weight.
    """

    def __init__(
        self, sessions: Sequence[ServedSession], tokenizer: Tokenizer, positions: int, config: ServedVerifierConfig
    ) -> None:
        self._sessions, self._config = sessions, config
        self._write = CropWriter(tokenizer, positions, config.schedule.crops_per_window, config.longest)
        weights = np.array([s.frames * config.collection_weights.get(s.collection, 1.0) for s in sessions])
        if not weights.sum() > 0:
            raise ManifestError(f"none of {len(sessions)} sessions can teach: bring recordings, or other weights")
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        """Steps of the training, which is one epoch."""
        return self._config.schedule.steps

    def __call__(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Batches from step `skip` on."""
        for step in range(skip, len(self)):
            rng = np.random.default_rng([self._config.schedule.seed, epoch, step])
            batch = None
            while batch is None:
                batch = self._drawn(rng, self._config.later_share, self._config.noise)
            yield batch

    def once(self) -> Iterator[Batch]:
        """Always the same crops, each asked about as soon as a stream would, for evaluation."""
        schedule = self._config.schedule
        for number in range(-(-schedule.held_out_windows // schedule.batch_windows)):
            batch = self._drawn(np.random.default_rng([0, number]), 0.0, 0.0)
            if batch is not None:
                yield batch

    def _drawn(self, rng: np.random.Generator, later_share: float, noise: float) -> Batch | None:
        """Crops of as many sessions as a batch has windows; None where none is usable."""
        crops: list[Text] = []
        heard = []
        for place in rng.choice(len(self._sessions), self._config.schedule.batch_windows, p=self._shares):
            session = self._sessions[place]
            window = CachedWindow(session.words, 0, 0, session.collection)
            for _, first, last, text in self._write(0, window, session.frames, rng):
                crops.append((len(crops), 0, last - first, text))
                heard.append(self._heard(session, first, last, rng.random() < later_share))
        if not crops:
            return None
        frames = np.zeros((len(heard), max(map(len, heard)), heard[0].shape[1]), np.float32)
        for row, one in zip(frames, heard, strict=True):
            row[: len(one)] = one
        deviation = noise * np.concatenate(heard).std(dtype=np.float32)
        scale = (deviation * rng.random((len(frames), 1, 1))).astype(np.float32)
        frames += scale * rng.standard_normal(frames.shape, np.float32)
        groups, labels = in_groups(crops, self._config.groups)
        return VerifierInputs(torch.from_numpy(frames), groups), labels

    def _heard(self, session: ServedSession, first: int, last: int, is_later: bool) -> NDArray[np.float16]:
        end = last + self._config.waited + (session.blocks.block if is_later else 0)
        return session.heard(first, last, end)
