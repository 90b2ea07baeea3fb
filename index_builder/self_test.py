"""A glossary heard before the talk: each entry is spoken by a synthesiser and listened for with the real pipeline.

Pure: what is said is planned here and what was hinted is judged; speaking and listening are the caller's.

Recall is counted. False hints are counted in the same speech too, but it is short; what is expected of an hour is an
estimate: the profile lets so many through in all, for a glossary of this size (`Calibration`), and each entry gets the
share of them that its forms earn by how often they fit the model's background speech well enough to compete.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Form
from streaming.events import SAMPLE_RATE, Hint
from streaming.spotting.scoring_config import ScoringConfig

_ADDED = frozenset(("plural", "possessive", "hyphen"))
# Standard deviations between the mean of a normal distribution and its 97th percentile.
_DEVIATIONS_OF_QUANTILE = 1.8808


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one voice says: a form of an entry in a carrier; `voice` numbers the voices from 0."""

    entry_index: int
    text: str
    voice: int


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance at samples `start`..`end` of the stream."""

    utterance: Utterance
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EntryResult:
    """How one entry did.

    Attributes:
        entry_id: which.
        tries: how often it was said.
        heard: in how many of them it was hinted.
        mistaken_for: ids of the entries that were hinted in its place where it was not.
        false_hints: how often it was hinted where another entry was said.
        false_hints_per_hour: the estimate for an hour of other speech.
    """

    entry_id: str
    tries: int
    heard: int
    mistaken_for: tuple[str, ...]
    false_hints: int
    false_hints_per_hour: float


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome: how many of all `glossary_entries` were said, in how many seconds of speech, by which voices.

    `false_hints` counts those of entries that were not said at all, too, which `hinted_unsaid` counts by their ids;
    `false_hints_per_hour` is the profile's.
    """

    profile: str
    glossary_entries: int
    seconds: float
    voices: tuple[str, ...]
    false_hints: int
    false_hints_per_hour: float
    entries: tuple[EntryResult, ...] = field(default=())
    hinted_unsaid: Mapping[str, int] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """Utterances of all entries."""
        return sum(each.tries for each in self.entries)

    @property
    def recall(self) -> float:
        """Share of the utterances whose entry was hinted."""
        return sum(each.heard for each in self.entries) / max(1, self.tries)

    @property
    def wrongly_hinted(self) -> dict[str, int]:
        """How often each entry, by its id, was hinted where another was said; the most frequent first."""
        said = {each.entry_id: each.false_hints for each in self.entries if each.false_hints}
        return dict(Counter({**said, **self.hinted_unsaid}).most_common())

    def as_dict(self) -> dict[str, Any]:
        """For the report; `tries` and `recall` are those of all entries."""
        return {**asdict(self), "tries": self.tries, "recall": round(self.recall, 4)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "SelfTest":
        """The reverse of `as_dict`. Raises KeyError and TypeError for anything else."""
        value = {name: content for name, content in value.items() if name not in ("tries", "recall")}
        rows = tuple(EntryResult(**{**row, "mistaken_for": tuple(row["mistaken_for"])}) for row in value["entries"])
        return cls(**{**value, "voices": tuple(value["voices"]), "entries": rows})


def plan(
    forms: Sequence[Form], entries: int, *, most: int, tries: int, carriers: Sequence[tuple[str, str]], voices: int
) -> list[Utterance]:
    """What is to be said.

    Args:
        forms: of all entries, grouped by entry; inflections are not said.
        entries: how many there are.
        most: at most so many of them are said, spread evenly over the glossary.
        tries: utterances of each; its forms, the carriers and the voices take turns.
        carriers: words before and after.
        voices: how many there are.
    """
    spoken: dict[int, list[str]] = defaultdict(list)
    for form in forms:
        if form.kind not in _ADDED:
            spoken[form.entry_index].append(_readable(form.text))
    chosen = sorted({round(i * (entries - 1) / max(1, most - 1)) for i in range(min(most, entries))})
    if entries <= most:
        chosen = list(range(entries))
    utterances = []
    for number, entry in enumerate(chosen):
        for attempt in range(tries):
            before, after = carriers[(number + attempt) % len(carriers)]
            said = spoken[entry][attempt % len(spoken[entry])]
            utterances.append(Utterance(entry, f"{before} {said} {after}".strip(), (number + attempt) % voices))
    return utterances


def judge(
    said: Sequence[Said], hints: Sequence[Hint], entry_ids: Sequence[str], expected: NDArray[np.float64]
) -> tuple[tuple[EntryResult, ...], int]:
    """What became of each entry that was said, and how many hints named an entry where another was said.

    Args:
        said: utterances in the order of the stream.
        hints: of the stream; one belongs to the utterance in which its middle lies.
        entry_ids: of all entries.
        expected: float64[entries], estimated false hints per hour.
    """
    by_utterance = _hinted(said, hints)
    tries: dict[int, int] = defaultdict(int)
    heard: dict[int, int] = defaultdict(int)
    mistaken: dict[int, dict[str, None]] = defaultdict(dict)
    false: dict[str, int] = defaultdict(int)
    for each, hinted in zip(said, by_utterance, strict=True):
        entry = each.utterance.entry_index
        wrong = [name for name in hinted if name != entry_ids[entry]]
        tries[entry] += 1
        heard[entry] += len(wrong) < len(hinted)
        if len(wrong) == len(hinted):
            mistaken[entry].update(dict.fromkeys(wrong))
        for name in wrong:
            false[name] += 1
    results = tuple(
        EntryResult(entry_ids[i], n, heard[i], tuple(mistaken[i]), false[entry_ids[i]], round(float(expected[i]), 4))
        for i, n in tries.items()
    )
    return results, sum(false.values())


def hinted_unsaid(said: Sequence[Said], hints: Sequence[Hint], entry_ids: Sequence[str]) -> dict[str, int]:
    """How often each entry was hinted that was not said at all, by its id."""
    spoken = {entry_ids[each.utterance.entry_index] for each in said}
    return dict(Counter(hint.entry_id for hint in hints if hint.entry_id not in spoken))


def expected_false_hints(
    forms: Sequence[Form], background: NDArray[np.float32], entries: int, per_hour: float
) -> NDArray[np.float64]:
    """False hints per hour of each entry, float64[entries]; their sum is `per_hour`.

    Args:
        forms: of all entries.
        background: float32[n_forms, 4]; of each form mean and 97th percentile of its best score in a context of
            background speech, by characters, then by phonemes.
        entries: how many there are.
        per_hour: of all entries together.
    """
    floor = ScoringConfig().competing_floor
    mean = (background[:, 0] + background[:, 2]).astype(np.float64) / 2
    quantile = (background[:, 1] + background[:, 3]).astype(np.float64) / 2
    deviation = np.maximum((quantile - mean) / _DEVIATIONS_OF_QUANTILE, 1e-3)
    # A normal distribution is fitted to the two numbers that an index has of each form.
    reach = np.array([0.5 * math.erfc(z / math.sqrt(2)) for z in ((floor - mean) / deviation).tolist()])
    missed = np.ones(entries)
    np.multiply.at(missed, np.array([form.entry_index for form in forms]), 1 - np.clip(reach, 1e-9, 1 - 1e-9))
    shares = 1 - missed
    return np.asarray(per_hour * shares / shares.sum(), np.float64)


def seconds_of(said: Sequence[Said]) -> float:
    """The length of the stream."""
    return said[-1].end / SAMPLE_RATE if said else 0.0


def _readable(text: str) -> str:
    """Letters in capitals: a synthesiser reads a lone "a" as the article."""
    return " ".join(word.upper() if len(word) == 1 else word for word in text.split())


def _hinted(said: Sequence[Said], hints: Sequence[Hint]) -> list[list[str]]:
    """Ids of the entries hinted in each utterance."""
    bounds = np.array([each.start for each in said])
    found: list[list[str]] = [[] for _ in said]
    for hint in hints:
        middle = (hint.start_sample + hint.end_sample) // 2
        found[max(0, int(np.searchsorted(bounds, middle, side="right")) - 1)].append(hint.entry_id)
    return found
