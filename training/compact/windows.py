"""Training windows: stretches of joined speech of the lengths that a stream encodes, with what is heard in them.

Utterances are joined with gaps, tiled by windows, and every window keeps its whole words as targets. A word cut by
an edge is left out of the target; the stretch that it covers is a wildcard for the loss, so nothing teaches the net
to complete half-heard words.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from streaming.spans import FRAME_SAMPLES
from training.corpus.manifest import Utterance, Word, read_audio
from training.speech.augmentation import AugmentationConfig, augment, change_speed, set_level


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """Lengths (frames of 20 ms) with their weights, gaps (seconds) and the margin around a cut word (seconds)."""

    lengths: tuple[int, ...] = (100, 150, 200, 250)
    weights: tuple[float, ...] = (0.15, 0.55, 0.18, 0.12)
    gap_s: tuple[float, float] = (0.05, 2.0)
    cut_margin_s: float = 0.06
    session_utterances: int = 8
    speed: tuple[float, float] = (0.88, 1.13)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch: float32[n] audio, its whole words (samples from its start), frames lost to cut words per end."""

    audio: NDArray[np.float32]
    words: tuple[Word, ...]
    left_wildcard: int
    right_wildcard: int
    collection: str


@dataclass(frozen=True, slots=True)
class Session:
    """Joined utterances of one speaker: float32[n] audio and every word in it, in samples from its start."""

    audio: NDArray[np.float32]
    words: tuple[Word, ...]
    collection: str


def _join(utterances: Sequence[Utterance], config: WindowConfig, change: bool, rng: np.random.Generator) -> Session:
    pieces: list[NDArray[np.float32]] = []
    words: list[Word] = []
    offset = 0
    for utterance in utterances:
        gap = np.zeros(int(rng.uniform(*config.gap_s) * SAMPLE_RATE), np.float32)
        if rng.random() < 0.5:
            gap += rng.standard_normal(len(gap)).astype(np.float32) * 10 ** (rng.uniform(-80, -55) / 20)
        audio = set_level(read_audio(utterance), rng.uniform(-28, -16))
        factor = 1.0
        if change:
            factor = rng.uniform(*config.speed)
            audio = change_speed(audio, factor)
        offset += len(gap)
        words += [
            Word(w.text, offset + round(w.start_sample / factor), offset + round(w.end_sample / factor))
            for w in utterance.words
        ]
        offset += len(audio)
        pieces += [gap, audio]
    return Session(np.concatenate(pieces), tuple(words), utterances[0].collection)


def heard_between(words: Iterable[Word], start: int, samples: int, margin: int) -> tuple[tuple[Word, ...], int, int]:
    """What is wholly heard in `samples` samples of a session from `start` on.

    Returns:
        its words, in samples from the start of the stretch, and how many samples of the stretch cut words take at its
        start and at its end, with a margin beside them.
    """
    end = start + samples
    inside, left, right = [], 0, 0
    for word in words:
        if word.end_sample <= start or word.start_sample >= end:
            continue
        if word.start_sample < start:
            left = max(left, word.end_sample + margin - start)
        elif word.end_sample > end:
            right = max(right, end - word.start_sample + margin)
        else:
            inside.append(Word(word.text, word.start_sample - start, word.end_sample - start))
    return tuple(inside), left, right


def _cut(session: Session, start: int, samples: int, margin: int) -> Window:
    inside, left, right = heard_between(session.words, start, samples, margin)
    frames = samples // FRAME_SAMPLES
    return Window(
        session.audio[start : start + samples],
        inside,
        min(frames, -(-left // FRAME_SAMPLES)),
        min(frames, -(-right // FRAME_SAMPLES)),
        session.collection,
    )


def _drawing(config: WindowConfig, copy: int) -> tuple[random.Random, np.random.Generator]:
    return random.Random(f"{config.seed} {copy}"), np.random.default_rng([config.seed, copy])


def _groups(utterances: Iterable[Utterance], config: WindowConfig, shuffler: random.Random) -> list[list[Utterance]]:
    """Which utterances make a session, each of one speaker."""
    by_speaker: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault((utterance.collection, utterance.speaker), []).append(utterance)
    groups = []
    for rows in by_speaker.values():
        shuffler.shuffle(rows)
        groups += [rows[i : i + config.session_utterances] for i in range(0, len(rows), config.session_utterances)]
    shuffler.shuffle(groups)
    return groups


def make_sessions(
    utterances: Iterable[Utterance],
    config: WindowConfig,
    copy: int = 0,
    augmentation: AugmentationConfig | None = None,
) -> Iterator[Session]:
    """Every utterance once, joined and (with an `augmentation`) changed; the same for the same `copy`."""
    shuffler, rng = _drawing(config, copy)
    groups = _groups(utterances, config, shuffler)
    return _joined(groups, config, augmentation, rng)


def _joined(
    groups: Iterable[Sequence[Utterance]],
    config: WindowConfig,
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
) -> Iterator[Session]:
    babble = np.zeros(0, np.float32)
    for group in groups:
        session = _join(group, config, augmentation is not None, rng)
        if augmentation is not None:
            if len(babble) < len(session.audio):
                babble = np.resize(np.concatenate([babble, session.audio[::-1]]), len(session.audio))
            audio = augment(session.audio, babble, augmentation, rng)
            babble = session.audio
            session = Session(audio, session.words, session.collection)
        yield session


def make_windows(
    utterances: Sequence[Utterance],
    config: WindowConfig,
    augmentation: AugmentationConfig | None,
    copy: int = 0,
) -> Iterator[Window]:
    """Every utterance once, joined, changed (unless `augmentation` is None) and tiled; the same for the same `copy`."""
    shuffler, rng = _drawing(config, copy)
    groups = _groups(utterances, config, shuffler)
    for session in _joined(groups, config, augmentation, rng):
        start = 0
        while True:
            frames = shuffler.choices(config.lengths, config.weights)[0]
            samples = frames * FRAME_SAMPLES
            if start + samples > len(session.audio):
                break
            yield _cut(session, start, samples, int(config.cut_margin_s * SAMPLE_RATE))
            start += samples
