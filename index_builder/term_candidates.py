"""Terms that a text may hold, ranked, for a human to prune: noun phrases without a parser.

Runs of words that no stop word or sign parts are cut into phrases of up to four words. A phrase counts by its
frequency, less what it has only as a part of longer ones (after C-value: Frantzi, Ananiadou and Mima, 2000), times how
rare its words are in everyday speech. Acronyms are names of the expansion before their parenthesis. Addresses, names of
code and the list of references are passed over.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from index_builder.acronyms import expansions
from index_builder.inflections import plural_of
from index_builder.stop_words import STOP_WORDS

WordLogProb: TypeAlias = Callable[[str], float]
"""A lower-case word -> natural logarithm of its share of all words that are said; minus infinity where unknown."""
LONGEST = 4
MOST = 200
_UNKNOWN_NATS = 17.0
# Rarer than the 10,000th word: one such word makes a term of its phrase even where it stands once.
_RARE_NATS = 12.5
_WORD = r"[^\W\d_](?:[\w'’]|[-‐‑](?=\w))*"
_PIECE = re.compile(rf"{_WORD}|\n\s*\n|[^\w\s]|\d[\w.,]*")
_ENDS_NO_PHRASE = re.compile(r".*(?:ly|ful|ous|able|ible|ish|ical|less)|.*[^aeious]ed")
_CONTEXT = 60
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_REFERENCES = re.compile(r"\n[ \t]*(?:\d+\.?[ \t]+)?(?:References|REFERENCES|Bibliography|BIBLIOGRAPHY)[ \t]*\n")
# A list of references stands behind the text; a heading before this part of it is a table of contents.
_EARLIEST_REFERENCES = 0.4


@dataclass(frozen=True, slots=True)
class TermCandidate:
    """A phrase as it is mostly written, its other names, how often it stands there, its rank's score, and where."""

    term: str
    aliases: tuple[str, ...]
    count: int
    score: float
    context: str


@dataclass(slots=True)
class _Phrase:
    """All places of one phrase."""

    spellings: Counter[str] = field(default_factory=Counter)
    starts: list[int] = field(default_factory=list)
    mid_sentence: int = 0


def term_candidates(
    text: str, log_prob: WordLogProb, *, known: Iterable[str] = (), most: int = MOST
) -> list[TermCandidate]:
    """The likeliest terms of a text, the best first.

    Args:
        text: with sentences as they were written, empty lines between paragraphs.
        log_prob: how often words are said.
        known: terms in lower case that are left out.
        most: at most so many.
    """
    text = without_references(text)
    phrases = _one_number(_phrases(text))
    names = expansions(text)
    short_of = {long.lower(): short for short, long in names.items()}
    left_out = set(known)
    nested = _nested(phrases)
    found = []
    for key, phrase in phrases.items():
        written = _spelling(phrase)
        if key in left_out or (written in names and names[written].lower() in phrases):
            continue
        nats = [_nats(word, log_prob) for word in key.split()]
        count = len(phrase.starts)
        if key not in short_of and not _is_term(written, phrase, nats):
            continue
        alone = count - nested.get(key, 0.0)
        if alone > 0:
            # The root, because a term that is said ten times is no ten times better a term.
            rarity = sum(nats) / len(nats) * (1.5 if key in short_of else 1.0)
            score = math.log2(1 + len(nats)) * math.sqrt(alone) * rarity
            aliases = (short_of[key],) if key in short_of else ()
            found.append(TermCandidate(written, aliases, count, round(score, 2), _context(text, phrase.starts[0])))
    return sorted(found, key=lambda each: (-each.score, each.term))[:most]


def without_references(text: str) -> str:
    """The text before its list of references, whose authors and titles are nobody's terms."""
    headings = [match.start() for match in _REFERENCES.finditer(text)]
    return text[: headings[-1]] if headings and headings[-1] > _EARLIEST_REFERENCES * len(text) else text


def _phrases(text: str) -> dict[str, _Phrase]:
    """All phrases of one to `LONGEST` words by their lower-case texts."""
    phrases: dict[str, _Phrase] = defaultdict(_Phrase)
    for run, is_first in _runs(text):
        for start in range(len(run)):
            for end in range(start + 1, min(len(run), start + LONGEST) + 1):
                words = [match[0] for match in run[start:end]]
                if _ENDS_NO_PHRASE.fullmatch(words[-1].lower()) or words[0].lower().endswith("ly"):
                    continue
                phrase = phrases[" ".join(words).lower()]
                phrase.starts.append(run[start].start())
                phrase.spellings[" ".join(words)] += 1
                phrase.mid_sentence += not (is_first and start == 0)
    return phrases


def _runs(text: str) -> Iterator[tuple[list[re.Match[str]], bool]]:
    """Words in a row that nothing parts, and whether the first of them begins a sentence."""
    run: list[re.Match[str]] = []
    begins, run_begins = True, True
    for piece in _PIECE.finditer(_ADDRESS.sub(lambda match: "." * len(match[0]), text)):
        is_word = piece[0][0].isalpha()
        if is_word and "_" not in piece[0] and piece[0].lower() not in STOP_WORDS and len(piece[0]) > 1:
            if not run:
                run_begins = begins
            run.append(piece)
        elif run:
            yield run, run_begins
            run = []
        begins = not is_word and (piece[0] in ".!?:" or piece[0].isspace())
    if run:
        yield run, run_begins


def _one_number(phrases: Mapping[str, _Phrase]) -> dict[str, _Phrase]:
    """Plurals joined to their singulars where the text has both."""
    joined = dict(phrases)
    for key in phrases:
        start, _, last = key.rpartition(" ")
        plural = f"{start} {plural_of(last)}".strip()
        if plural != key and key in joined and plural in joined:
            other = joined.pop(plural)
            joined[key] = _Phrase(
                joined[key].spellings,
                sorted(joined[key].starts + other.starts),
                joined[key].mid_sentence + other.mid_sentence,
            )
    return joined


def _nested(phrases: Mapping[str, _Phrase]) -> dict[str, float]:
    """Of each phrase the mean frequency of the longer phrases that hold it: what it does not have by itself."""
    holders: dict[str, list[int]] = defaultdict(list)
    for key, phrase in phrases.items():
        words = key.split()
        parts = {
            " ".join(words[start:end])
            for start in range(len(words))
            for end in range(start + 1, len(words) + 1)
            if end - start < len(words)
        }
        for part in parts:
            holders[part].append(len(phrase.starts))
    return {part: sum(counts) / len(counts) for part, counts in holders.items()}


def _is_term(written: str, phrase: _Phrase, nats: Sequence[float]) -> bool:
    """Whether a phrase is rare, repeated or capitalised enough to be proposed."""
    count = len(phrase.starts)
    is_capital = phrase.mid_sentence > 0 and any(word[:1].isupper() for word in written.split())
    is_mixed = any(letter.isupper() or letter.isdigit() for letter in written[1:])
    if len(nats) == 1:
        return (is_mixed and is_capital) or (nats[0] >= _RARE_NATS and (count > 1 or is_capital))
    return count > 1 or is_capital or max(nats) >= _RARE_NATS


def _spelling(phrase: _Phrase) -> str:
    """As it is mostly written; where only sentences begin with it, without their capital."""
    written = phrase.spellings.most_common(1)[0][0]
    first, _, rest = written.partition(" ")
    begins_only = not phrase.mid_sentence and first.istitle() and rest == rest.lower()
    return written[0].lower() + written[1:] if begins_only else written


def _nats(word: str, log_prob: WordLogProb) -> float:
    """How surprising a word is; of a hyphened one its rarest part, and a plural or possessive as its base."""
    parts = re.split(r"[-‐‑]", word.replace("’", "'"))
    known = (max(log_prob(part), log_prob(part.removesuffix("'s")), log_prob(part.removesuffix("s"))) for part in parts)
    return max(min(_UNKNOWN_NATS, -value) for value in known)


def _context(text: str, start: int) -> str:
    """The text around a place, on one line."""
    before = text[max(0, start - _CONTEXT) : start].split()
    after = text[start : start + 2 * _CONTEXT].split()
    # Words that the bounds cut in two say nothing.
    return " ".join([*before[1 if start > _CONTEXT else 0 :], *(after[:-1] or after)])
