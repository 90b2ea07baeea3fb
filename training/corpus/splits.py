"""Rows -> train, dev and test that share no recording and no speaker, with terms that training never hears."""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

import numpy as np

from streaming.errors import SettingError, TermCueError
from training.corpus.examples import Example
from training.corpus.keys import key_of, normal_form
from training.corpus.paths import real_path

Part: TypeAlias = Literal["train", "dev", "test"]
_NAMED = 3


class LeakError(TermCueError):
    """Test rows that training has seen; the message names what they share."""


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """Shares of the rows that go to dev and test, and of the terms that each of the two has for itself alone."""

    dev: float = 0.05
    test: float = 0.05
    unseen_terms: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.dev < 0 or self.test < 0 or self.dev + self.test >= 1:
            raise SettingError(f"shares of {self.dev} for dev and {self.test} for test leave nothing to train on")
        if not 0 <= self.unseen_terms < 0.5:
            raise SettingError(f"a share of {self.unseen_terms} unseen terms each for dev and test; give 0 to 0.49")


class Splitter:
    """Says where a row goes.

    Rows of one recording or of one speaker go together, and through them those that share either. Every term belongs
    to all parts, or to dev or test alone: a row elsewhere that holds such a term is left out.

    Args:
        examples: all rows, read once; of each only recording and speaker are kept.
        config: shares.
        group_of: variants of a term have one group (`TrainingGlossary.group_of`); None: terms by their normal forms.
    """

    def __init__(
        self, examples: Iterable[Example], config: SplitConfig, group_of: Callable[[str], int] | None = None
    ) -> None:
        self._config = config
        self._group_of = group_of or (lambda term: key_of(normal_form(term)))
        self._parent: dict[str, str] = {}
        rows: Counter[str] = Counter()
        for example in examples:
            keys = _sources(example)
            for key in keys[1:]:
                self._join(keys[0], key)
            rows[keys[0]] += 1
        sizes: Counter[str] = Counter()
        for key, count in rows.items():
            sizes[self._root(key)] += count
        self._parts = _assigned(sizes, config)

    def part_of(self, example: Example) -> Part | None:
        """Where the row goes; None: nowhere, as its terms and its recording are of different parts."""
        part = self._parts[self._root(_sources(example)[0])]
        homes = {self.home_of(span.term) for span in example.terms} - {None}
        return part if homes <= {part} else None

    def home_of(self, term: str) -> Part | None:
        """The part that has a term for itself alone; None: all parts may have it."""
        drawn = key_of(f"{self._config.seed}:{self._group_of(term)}") / (1 << 63)
        if drawn < self._config.unseen_terms:
            return "test"
        return "dev" if drawn < 2 * self._config.unseen_terms else None

    def _root(self, key: str) -> str:
        while (parent := self._parent.get(key, key)) != key:
            self._parent[key] = key = self._parent.get(parent, parent)
        return key

    def _join(self, one: str, other: str) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first


def _sources(example: Example) -> list[str]:
    """What a row must not share with another part; a row that tells neither recording nor speaker has its audio."""
    named = [
        *([f"recording {example.recording}"] if example.recording else []),
        *([f"speaker {example.speaker}"] if example.speaker else []),
    ]
    return named or [f"audio {real_path(example.audio)}"]


def _assigned(sizes: Counter[str], config: SplitConfig) -> dict[str, Part]:
    """Sets of rows in random order, each to test until it has its share, then to dev, then to train."""
    total = sizes.total()
    names = sorted(sizes)
    parts: dict[str, Part] = {}
    given: Counter[Part] = Counter()
    wanted: tuple[tuple[Part, float], ...] = (("test", config.test * total), ("dev", config.dev * total))
    for i in np.random.default_rng(config.seed).permutation(len(names)):
        name, size = names[i], sizes[names[i]]
        # A set that would take far more than the share, such as a lone prolific speaker, stays in training.
        part: Part = next((p for p, rows in wanted if given[p] < rows and given[p] + size <= 2 * rows), "train")
        parts[name] = part
        given[part] += size
    return parts


@dataclass(frozen=True, slots=True)
class Leaks:
    """What training and test share."""

    rows: frozenset[str]
    recordings: frozenset[str]
    speakers: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.rows or self.recordings or self.speakers)

    def __str__(self) -> str:
        return "; ".join(
            f"{len(shared)} {noun}{'s' if len(shared) > 1 else ''} ({', '.join(sorted(shared)[:_NAMED])}"
            f"{', …' if len(shared) > _NAMED else ''})"
            for noun, shared in (("row", self.rows), ("recording", self.recordings), ("speaker", self.speakers))
            if shared
        )


class _Heard:
    """Stretches of audio files, asked for those that overlap another; all are added before the first question."""

    def __init__(self) -> None:
        self._added: dict[str, list[tuple[int, float, str]]] = defaultdict(list)
        self._sorted: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, example: Example) -> None:
        self._added[real_path(example.audio)].append((*_stretch(example), example.example_id))

    def overlapping(self, example: Example) -> set[str]:
        """Ids of the rows that have audio in common with this one."""
        audio = real_path(example.audio)
        if audio not in self._added:
            return set()
        rows = self._added[audio]
        if audio not in self._sorted:
            rows.sort()
            self._sorted[audio] = [row[0] for row in rows], list(accumulate((row[1] for row in rows), max))
        starts, last_ends = self._sorted[audio]
        start, end = _stretch(example)
        found, place = set[str](), bisect_left(starts, end)
        # Of the rows that start early enough, those before the last end that is late enough cannot matter.
        while place and last_ends[place - 1] > start:
            place -= 1
            if rows[place][1] > start:
                found.add(rows[place][2])
        return found


def _stretch(example: Example) -> tuple[int, float]:
    start = example.start_sample
    return start, start + example.samples if example.samples else math.inf


def check_leaks(train: Iterable[Example], test: Iterable[Example], *, allow_leak: bool = False) -> Leaks:
    """What rows, recordings and speakers training shares with test.

    Two rows are the same by their id, or where their stretches of one audio file overlap, whatever they are called
    and however the file is named.

    Args:
        train: read once, nothing of it is kept.
        test: its names are kept.
        allow_leak: only tell.

    Raises:
        LeakError: they share something, and it is not allowed.
    """
    ids: set[str] = set()
    heard = _Heard()
    recordings: set[str] = set()
    speakers: set[str] = set()
    for example in test:
        ids.add(example.example_id)
        heard.add(example)
        recordings.add(example.recording)
        speakers.add(example.speaker)
    shared_rows, shared_recordings, shared_speakers = set[str](), set[str](), set[str]()
    for example in train:
        shared_rows |= ({example.example_id} & ids) | heard.overlapping(example)
        shared_recordings |= {example.recording} & recordings
        shared_speakers |= {example.speaker} & speakers
    leaks = Leaks(frozenset(shared_rows), frozenset(shared_recordings - {""}), frozenset(shared_speakers - {""}))
    if leaks and not allow_leak:
        raise LeakError(
            f"test and training share {leaks}: such a test measures memory; name other rows with --test-samples, or "
            "give --allow-leak"
        )
    return leaks
