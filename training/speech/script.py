"""Terms and sentences -> the lines that a corpus speaks, each in the parts that are synthesised one by one.

Every term of the glossary that a line holds is a part of its own, so its span is measured; also one inside a carrier
or a sentence where nobody marked it.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from streaming.errors import SettingError
from streaming.symbols import words_of
from training.speech.carriers import CARRIERS, PHRASES
from training.speech.effects import UNCHANGED, Effects
from training.speech.speech_commands import SpeechCommand, SynthesisError

_MARKED = re.compile(r"\[([^\[\]]+)\]")
_UNSPEAKABLE = re.compile(r"[^A-Za-z' .,;:!?-]")
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, slots=True)
class SaidTerm:
    """A term as the glossary writes it and the ways to say it: words in a-z and ', the likeliest first."""

    term: str
    readings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that is synthesised in one piece; `term` is its term, None for what is said around terms."""

    text: str
    term: str | None = None


@dataclass(frozen=True, slots=True)
class KnownTerms:
    """Terms by the words of their readings, and the number of words of the longest."""

    terms: Mapping[str, str] = field(default_factory=dict)
    longest: int = 0

    @classmethod
    def of(cls, said: Sequence[SaidTerm]) -> "KnownTerms":
        """The first of two terms that sound the same keeps its reading."""
        terms: dict[str, str] = {}
        for each in said:
            for reading in each.readings:
                terms.setdefault(" ".join(words_of(reading)), each.term)
        return cls(terms, max((len(words.split()) for words in terms), default=0))


NO_TERMS = KnownTerms()


def parts_of(line: str, known: KnownTerms = NO_TERMS) -> tuple[Part, ...]:
    """A sentence -> its parts: terms in square brackets, those of `known` that it holds, longest first, and the rest.

    Raises SynthesisError for a part that would be read out otherwise than it is written.
    """
    parts: list[Part] = []
    # `split` gives what is between the marks at even places, what is marked at odd ones.
    for i, piece in enumerate(_MARKED.split(line.replace("’", "'"))):
        text = piece.strip()
        if i % 2:
            parts.append(Part(_speakable(text), known.terms.get(" ".join(words_of(text)), text)))
        elif text:
            parts += _found(_speakable(text), known)
    if not parts:
        raise SynthesisError("an empty line cannot be spoken")
    return tuple(parts)


def _speakable(text: str) -> str:
    if not words_of(text) or _UNSPEAKABLE.search(text):
        raise SynthesisError(f"{text!r} cannot be spoken as written: use words in a-z, numbers read out")
    return text


def _found(text: str, known: KnownTerms) -> Iterator[Part]:
    """Unmarked text, parted at the terms in it."""
    words = list(_WORD.finditer(text))
    spoken, i = 0, 0
    while i < len(words):
        for count in range(min(known.longest, len(words) - i), 0, -1):
            term = known.terms.get(" ".join(word.group().lower() for word in words[i : i + count]))
            if term is not None:
                start, end = words[i].start(), words[i + count - 1].end()
                yield from _rest(text[spoken:start])
                yield Part(text[start:end], term)
                spoken, i = end, i + count
                break
        else:
            i += 1
    yield from _rest(text[spoken:])


def _rest(text: str) -> Iterator[Part]:
    if words_of(text):
        yield Part(text.strip())


@dataclass(frozen=True, slots=True)
class Line:
    """What one row says: its id, its parts, its voice, and where all that is drawn for its sound starts."""

    line_id: str
    parts: tuple[Part, ...]
    command: SpeechCommand
    seed: int


@dataclass(frozen=True)
class Script:
    """Everything that is to be said.

    Attributes:
        sentences: with terms in square brackets; one that holds no term is a no-term row.
        terms: each is spoken inside a carrier.
        voices: at least one; the copies of a line go through them in an order of its own.
        copies: times that each sentence and each term is said.
        no_term_share: at least this share of the rows holds no term; everyday phrases fill up what is missing.
        effects: what happens to the speech.
        seed: of everything that is drawn.

    Raises:
        SettingError: a number out of its range, or no voice.
    """

    sentences: tuple[str, ...]
    terms: tuple[SaidTerm, ...]
    voices: tuple[SpeechCommand, ...]
    copies: int = 1
    no_term_share: float = 0.0
    effects: Effects = UNCHANGED
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.voices:
            raise SettingError("there is no voice to speak with; name one")
        if self.copies < 1:
            raise SettingError(f"{self.copies} copies are none; ask for at least 1")
        if not 0 <= self.no_term_share < 1:
            raise SettingError(f"the share {self.no_term_share} of no-term rows is not at least 0 and under 1")

    @cached_property
    def known(self) -> KnownTerms:
        """The terms, to be found wherever they are said."""
        return KnownTerms.of(self.terms)

    @cached_property
    def _said(self) -> tuple[SaidTerm, ...]:
        return tuple({each.term: each for each in self.terms}.values())

    @cached_property
    def _spoken_sentences(self) -> dict[str, tuple[Part, ...]]:
        return {sentence: parts_of(sentence, self.known) for sentence in self.sentences}

    @cached_property
    def _no_term_lines(self) -> int:
        sentences = self._spoken_sentences.values()
        plain = sum(all(part.term is None for part in parts) for parts in sentences)
        found = (len(sentences) - plain + len(self._said)) * self.copies
        wanted = round(found * self.no_term_share / (1 - self.no_term_share))
        return max(0, wanted - plain * self.copies)

    def __len__(self) -> int:
        """Lines in all. Raises SynthesisError for a sentence that cannot be spoken."""
        return (len(self._spoken_sentences) + len(self._said)) * self.copies + self._no_term_lines

    def lines(self) -> Iterator[Line]:
        """The lines in order. Raises SynthesisError for one that cannot be spoken."""
        for copy in range(self.copies):
            for sentence, parts in self._spoken_sentences.items():
                yield self._line("sentence", sentence, copy, parts)
            for said in self._said:
                rng = random.Random(f"{self.seed} {copy} {said.term}")
                reading = said.readings[copy % len(said.readings)]
                yield self._line("term", said.term, copy, self._carried(Part(reading, said.term), rng))
        yield from self._plain_lines()

    def _line(self, kind: str, text: str, copy: int, parts: tuple[Part, ...]) -> Line:
        order = random.Random(f"{self.seed} {kind} {text}").sample(self.voices, len(self.voices))
        command = order[copy % len(order)]
        key = hashlib.sha256(f"{self.seed} {copy} {kind} {text} {command.voice} {self.effects}".encode()).hexdigest()
        return Line(f"s{key[:12]}", parts, command, int(key[12:28], 16))

    def _carried(self, part: Part, rng: random.Random) -> tuple[Part, ...]:
        before, after = rng.choice(CARRIERS)
        return (*_found(before, self.known), Part(_speakable(part.text), part.term), *_found(after, self.known))

    def _plain_lines(self) -> Iterator[Line]:
        # Parted like a line with a term: a gap must not betray that a term follows.
        lines = [tuple(t for t in (a, phrase, b) if t) for phrase in PHRASES for a, b in CARRIERS]
        usable = [texts for texts in lines if all(part.term is None for part in _found(" ".join(texts), self.known))]
        if self._no_term_lines and not usable:
            raise SynthesisError(
                "every everyday phrase holds a term of the glossary, so there is no no-term speech: give --sentences "
                "without terms, or ask for no no-term rows"
            )
        order = random.Random(f"{self.seed} plain").sample(usable, len(usable))
        for i in range(self._no_term_lines):
            texts = order[i % len(order)]
            yield self._line("plain", " ".join(texts), i // len(order), tuple(Part(text) for text in texts))
