"""Hints gathered by chunks of the audio clock, as a translation system takes them in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streaming.events import SAMPLE_RATE, Abstention, Event, Hint
from streaming.protocol import chosen_translation

_SAMPLES_PER_MS = SAMPLE_RATE // 1000
_SCORE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """What became known in `start_sample`..`end_sample`: term, translation, probability of each final hint."""

    start_sample: int
    end_sample: int
    terms: tuple[tuple[str, str | None, float], ...] = field(default=())


class TermMaps:
    """Events -> one `ChunkTerms` for every chunk, empty ones included, as soon as all of it is decided.

    A hint belongs to the chunk in which it was emitted: some 0.5 s after its term ended.
    """

    def __init__(self, chunk_ms: int, target_lang: str | None) -> None:
        self._chunk = chunk_ms * _SAMPLES_PER_MS
        self._target_lang = target_lang
        self._start = self._decided = 0
        self._terms: list[tuple[str, str | None, float]] = []

    def feed(self, events: Iterable[Event]) -> list[ChunkTerms]:
        """All events of some hops, the last of them told to its end."""
        done: list[ChunkTerms] = []
        for event in events:
            if not isinstance(event, Hint | Abstention):
                continue
            end = event.emitted_sample if isinstance(event, Hint) else event.end_sample
            # A hop that ends beyond a chunk says that the chunk is complete.
            done += self._close(end - 1)
            self._decided = max(self._decided, end)
            if isinstance(event, Hint) and event.is_final:
                translation = chosen_translation(event.translations, self._target_lang)
                self._terms.append((event.term, translation, round(event.score, _SCORE_DIGITS)))
        return done + self._close(self._decided)

    def finish(self) -> list[ChunkTerms]:
        """The last, shorter chunk."""
        if self._decided <= self._start:
            return []
        last = ChunkTerms(self._start, self._decided, tuple(self._terms))
        self._start, self._terms = self._decided, []
        return [last]

    def _close(self, decided: int) -> list[ChunkTerms]:
        """The chunks that end no later than `decided`."""
        done = []
        while self._start + self._chunk <= decided:
            done.append(ChunkTerms(self._start, self._start + self._chunk, tuple(self._terms)))
            self._start, self._terms = self._start + self._chunk, []
        return done
