"""Entries that a listener could take for each other: by sounds, by letters, and by the model's own text vectors."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Form
from streaming.symbols import BOUND

MAX_COMPARED = 20_000
"""Written forms from which on they are not compared: pairs grow with the square of them."""
MAX_PAIRS_OF_ONE = 3
ALIKE = 0.9
"""Cosine from which two texts are alike to the model: of 450,000 pairs of common English words, 17 reach it, all of
them alike to the ear too."""
_SHORTEST_NEAR = 5
_ADDED = frozenset(("plural", "possessive", "hyphen"))
_BLOCK = 1024
# Very many forms that differ in one place are numbered; a few pairs of them tell enough.
_MOST_OF_ONE_KEY = 16


@dataclass(frozen=True, slots=True)
class Sounds:
    """Spoken forms with their pronunciations, and `vectors` float32[n, dim], unit norm, of their texts."""

    forms: Sequence[Form]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two forms (indexes) of different entries that are alike.

    `sounds` and `letters` are the edit distances where they are at most 1, else None; `similarity` is the cosine.
    """

    first: int
    second: int
    sounds: int | None
    letters: int | None
    similarity: float

    @property
    def is_homophone(self) -> bool:
        """Whether nothing but the context can tell them apart."""
        return self.sounds == 0


@dataclass(slots=True)
class _Found:
    """What is known of pairs of forms, smaller index first."""

    sounds: dict[tuple[int, int], int] = field(default_factory=dict)
    letters: dict[tuple[int, int], int] = field(default_factory=dict)
    alike: set[tuple[int, int]] = field(default_factory=set)


def pairs_alike(sounds: Sounds) -> list[Pair]:
    """The pairs of written forms of different entries that are alike, in the order of the glossary.

    Of one form at most `MAX_PAIRS_OF_ONE` pairs, the nearest; none at all of more than `MAX_COMPARED` forms.
    Forms with the same text are no pair.
    """
    if not are_compared(sounds):
        return []
    written = written_forms(sounds)
    texts = {i: sounds.forms[i].text.replace(" ", "") for i in written}
    spoken = {i: ids for i in written if (ids := _spoken(sounds.forms[i]))}
    found = _Found(
        dict(_near(spoken)),
        dict(_near(texts)),
        set(_similar(written, sounds.vectors)),
    )
    pairs = [
        Pair(a, b, found.sounds.get((a, b)), found.letters.get((a, b)), float(sounds.vectors[a] @ sounds.vectors[b]))
        for a, b in sorted(found.sounds.keys() | found.letters.keys() | found.alike)
        if sounds.forms[a].entry_index != sounds.forms[b].entry_index and sounds.forms[a].text != sounds.forms[b].text
    ]
    return _nearest(pairs)


def are_compared(sounds: Sounds) -> bool:
    """Whether the forms are few enough."""
    return len(written_forms(sounds)) <= MAX_COMPARED


def written_forms(sounds: Sounds) -> list[int]:
    """The forms that say what is written; an inflection is as alike to others as the word it comes from."""
    return [i for i, form in enumerate(sounds.forms) if form.kind not in _ADDED]


def edit_distance_at_most_one(left: Sequence[object], right: Sequence[object]) -> int | None:
    """0 or 1 where so few insertions, deletions and substitutions make one of the other, else None."""
    if len(left) > len(right):
        left, right = right, left
    if len(right) - len(left) > 1:
        return None
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
    if start == len(left) == len(right):
        return 0
    rest = left[start:] if len(left) < len(right) else left[start + 1 :]
    return 1 if rest == right[start + 1 :] else None


def _spoken(form: Form) -> str:
    """The best pronunciation without bounds, a character for each symbol: "ice cream" sounds as "I scream"."""
    return "".join(chr(i) for i in form.pronunciations[0].tolist() if i != BOUND) if form.pronunciations else ""


def _near(sequences: Mapping[int, str]) -> Iterator[tuple[tuple[int, int], int]]:
    """Pairs at an edit distance of at most 1 and that distance: such two share what is left without one symbol."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, whole in sequences.items():
        for key in {whole, *(whole[:i] + whole[i + 1 :] for i in range(len(whole)))}:
            by_key[key].append(index)
    seen: set[tuple[int, int]] = set()
    for group in by_key.values():
        for place, a in enumerate(group):
            for b in group[place + 1 : place + 1 + _MOST_OF_ONE_KEY]:
                pair = (min(a, b), max(a, b))
                if pair in seen:
                    continue
                seen.add(pair)
                distance = edit_distance_at_most_one(sequences[a], sequences[b])
                shortest = min(len(sequences[a]), len(sequences[b]))
                if distance == 0 or (distance == 1 and shortest >= _SHORTEST_NEAR):
                    yield pair, distance


def _similar(written: Sequence[int], vectors: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pairs whose cosine is at least `ALIKE`, smaller index first."""
    rows = vectors[list(written)]
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        close = np.argwhere(block @ rows[first:].T >= ALIKE)
        for a, b in close[close[:, 0] < close[:, 1]].tolist():
            yield written[first + a], written[first + b]


def _nearest(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs without those of forms that have enough nearer ones."""
    count: dict[int, int] = defaultdict(int)
    kept = set()
    for pair in sorted(pairs, key=lambda pair: (not pair.is_homophone, -pair.similarity)):
        if max(count[pair.first], count[pair.second]) < MAX_PAIRS_OF_ONE:
            kept.add(pair)
            count[pair.first] += 1
            count[pair.second] += 1
    return [pair for pair in pairs if pair in kept]
