"""Glossary terms in the timed words of a recogniser: exact phrases after normalising, each told when first seen."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.evaluation.stream_metrics import TimedHint

# Two sightings of a term that are no further apart are one occurrence, decoded twice.
SAME_OCCURRENCE_S = 0.5
_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as a recogniser wrote it, in seconds of the stream."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Decode:
    """What a recogniser said of a stretch: when on the audio clock, and how long it computed for that."""

    at: float
    cpu_s: float
    words: tuple[TimedWord, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A hint on the audio clock, and the computing after which a listener would really have seen it."""

    hint: TimedHint
    computing_s: float


def tokens_of(text: str) -> tuple[str, ...]:
    """Lower-case words without accents and punctuation; a hyphen parts words, an apostrophe inside one does not."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).encode("ascii", "ignore").decode()
    return tuple(_TOKEN.findall(plain.lower()))


class PhraseMatcher:
    """Finds every phrase of a glossary in a text; those that overlap are all told, as the reference counts them."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms: dict[tuple[str, ...], str] = {}
        for term in terms:
            self._terms.setdefault(tokens_of(term), term)
        self._terms.pop((), None)
        self._longest = max(map(len, self._terms), default=0)

    def find(self, words: Sequence[TimedWord]) -> list[tuple[str, float, float]]:
        """Term, start and end in seconds of each phrase that is there, in the order of their first words."""
        tokens = [(token, word.start, word.end) for word in words for token in tokens_of(word.text)]
        found = []
        for first in range(len(tokens)):
            for last in range(first, min(first + self._longest, len(tokens))):
                term = self._terms.get(tuple(token for token, _, _ in tokens[first : last + 1]))
                if term is not None:
                    found.append((term, tokens[first][1], tokens[last][2]))
        return found


def sightings_of(decodes: Iterable[Decode], matcher: PhraseMatcher) -> list[Sighting]:
    """Each occurrence of a term once, at the first decode that shows it: what later decodes drop stays told."""
    told: dict[str, list[tuple[float, float]]] = {}
    sightings = []
    for decode in decodes:
        for term, start, end in matcher.find(decode.words):
            spans = told.setdefault(term, [])
            if all(end < a - SAME_OCCURRENCE_S or start > b + SAME_OCCURRENCE_S for a, b in spans):
                sightings.append(Sighting(TimedHint(term, start, end, decode.at), decode.cpu_s))
            spans.append((start, end))
    return sightings
