"""A written term becomes the ways in which a speaker says it: lower-case words of a to z and the apostrophe.

First the whole text is transliterated and its signs are written out, then each token gives its readings ("SQL":
"s q l"; "1984": "nineteen eighty four"), and the likeliest combinations become the spoken forms.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from index_builder import numbers
from index_builder.surface_text import Writing, is_lettered, plain

MAX_FORMS = 6
# A build asks whether all terms can be said, and then how: so many of those that take work are remembered.
_REMEMBERED = 1 << 14
Kind: TypeAlias = Literal["term", "number", "symbol", "spelled", "abbreviation"]
"""How a form came from what is written: as it stands, with a number or sign read out, an abbreviation letter by
letter, or one as a word (or, a title, written out)."""
# Read as words, these acronyms would be heard in every sentence.
_COMMON_WORDS = frozenset(
    "all and any are arm art ask bad been bit but can day did end far few for from get got had has have her here him "
    "his how ill into its just led let man many may more much must new nor not now off old one our out own pan past "
    "put red ride same saw say see set she six sit some son such sun ten than that the them then they this too top two "
    "use was way well were what when who why will with won yes yet you your".split()
)
_ONSET = re.compile(
    r"(?:[bcdfghjklmnpqrstvwyz]|[bcfgkps]l|[bcdfgkpt]r|s[cklmnpqtw]|[cgpstw]h|qu|tw|st?r|spl|spr|sch|shr|thr)?"
)
_CODA = re.compile(r"(?:[bcdfgklmnprstvxz]|[lmnr][dkpst]|[cst]h|ck|ff|ll|ss|[ckfp]t|[kpt]s|s[kpt]|ng|x)?")
_ROMAN = re.compile(r"X{0,3}(?:IX|IV|V?I{0,3})")
_PARENTHESIS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*")
_TOKEN = re.compile(r"\d+(?:,\d{3})+(?!\d)|\d+\.\d+|\d+(?:st|nd|rd|th)\b|\d*0s\b|\d+|[A-Za-z']+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ACRONYM = re.compile(r"([a-z]?)([A-Z]{2,5})('?s)?")

# Words in small letters that are no initials: five letters or more, or two with a vowel, or such as "john's".
_WORD = r"(?:[a-z]{5,}|(?=[a-z]*[aeiouy])[a-z]{2,4}|[a-z]{2,}'(?:s|t|d|m|ll|re|ve))"
_AS_WRITTEN = re.compile(f"{_WORD}(?: {_WORD})*")

Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SurfaceForm:
    """One way to say a written text: words of a-z and ' parted by one blank, and how it came from the text."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to say a token."""

    words: Words
    kind: Kind = "term"


def surface_forms(text: str) -> list[SurfaceForm]:
    """The ways to say a written term, the likeliest first, no text twice; at most `MAX_FORMS`, none if unspeakable."""
    return [SurfaceForm(text, "term")] if is_said_as_written(text) else list(_remembered(text))


def is_said_as_written(text: str) -> bool:
    """Whether a text is words already, as most terms are; only the others are worth the whole work."""
    return _AS_WRITTEN.fullmatch(text) is not None


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> tuple[SurfaceForm, ...]:
    return tuple(_worked_out(text))


def _worked_out(text: str) -> list[SurfaceForm]:
    """The work of `surface_forms`, for any text."""
    forms: dict[str, Kind] = {}
    for variant in _written_variants(text):
        tokens, writing = _tokens(variant)
        for readings in itertools.islice(_combinations(tokens), MAX_FORMS):
            said = " ".join(itertools.chain.from_iterable(reading.words for reading in readings))
            forms.setdefault(said, _kind(readings, writing))
    return [SurfaceForm(said, kind) for said, kind in forms.items() if said][:MAX_FORMS]


def spoken_forms(text: str) -> list[str]:
    """The texts of `surface_forms`."""
    return [form.text for form in surface_forms(text)]


def can_be_spoken(text: str) -> bool:
    """Whether `spoken_forms` finds any form."""
    return is_lettered(text) or bool(surface_forms(text))


def plain_word(text: str) -> str:
    """A written term of one token as that one word, however it is read ("SQL": "sql"); "" for several tokens."""
    tokens, _ = _tokens(text)
    word = tokens[0].lower().strip("'") if len(tokens) == 1 else ""
    return word if word and not word[0].isdigit() else ""


def _written_variants(text: str) -> Iterable[str]:
    """What in a written term is said: without its parenthesis; and an acronym in the parenthesis by itself."""
    outside = _PARENTHESIS.sub(" ", text).strip()
    inside = [match.strip() for match in _PARENTHESIS.findall(text)]
    if not any(character.isalnum() for character in outside):
        return inside
    return [outside, *(piece for piece in inside if _ACRONYM.fullmatch(piece))]


def _tokens(text: str) -> tuple[list[str], Writing]:
    said, writing = plain(text)
    return _TOKEN.findall(said), writing


def _kind(readings: Sequence[Reading], writing: Writing) -> Kind:
    """What a reader would wonder about most: a number, a sign, letters, an abbreviation."""
    kinds = {reading.kind for reading in readings} | {writing or "term"}
    order: tuple[Kind, ...] = ("number", "symbol", "spelled", "abbreviation")
    return next((kind for kind in order if kind in kinds), "term")


def _combinations(tokens: Sequence[str]) -> Iterable[tuple[Reading, ...]]:
    """All readings of the tokens together; the first is the likeliest of each."""
    shouted = len(tokens) > 1 and any(token.isupper() and len(token) > 5 for token in tokens)
    readings = [
        ways for index, token in enumerate(tokens) if (ways := _readings(token.lower() if shouted else token, index))
    ]
    return itertools.product(*readings)


def _readings(token: str, index: int) -> list[Reading]:
    """The ways to say one token, the likeliest first."""
    if token[0].isdigit():
        return [Reading(tuple(way), "number") for way in _number(token)]
    word = token.strip("'") if token.lower() != "'s" else ""
    if not word:
        return []
    if (acronym := _ACRONYM.fullmatch(word)) is not None:
        return [*(_roman(word) if index else []), *_acronym(acronym)]
    if word in ("I", "V", "X") and index:
        return [Reading((word.lower(),)), *_roman(word)]
    return list(dict.fromkeys(_word(word)))


def _word(word: str) -> list[Reading]:
    """A word; split where a capital stands inside it; letter by letter if it is short and looks like initials."""
    ways = [Reading((word.lower(),))]
    parts = _CAMEL.findall(word)
    if len(parts) > 1 and "".join(parts) == word:
        ways.append(Reading(tuple(itertools.chain.from_iterable(_part(part) for part in parts))))
    sayable = any(vowel in word.lower() for vowel in "aeiouy")
    initials = 2 <= len(word) <= 4 and word.isalpha() and (not sayable or sum(map(str.isupper, word)) >= 2)
    if initials:
        ways.insert(len(ways) if sayable else 0, Reading(tuple(word.lower()), "spelled"))
    return ways


def _part(part: str) -> Words:
    """A piece of a camel-case word: capitals in a row are letters."""
    return tuple(part.lower()) if len(part) > 1 and part.isupper() else (part.lower(),)


def _number(token: str) -> list[list[str]]:
    digits = token.replace(",", "")
    if "." in digits:
        whole, fraction = digits.split(".")
        return numbers.decimal(whole, fraction)
    count = digits.rstrip("sthndr")
    if count == digits or len(count) > 12:
        return numbers.readings(count)
    if digits.endswith("s"):
        return [numbers.plural(int(count))]
    return [numbers.ordinal(int(count))]


def _roman(word: str) -> list[Reading]:
    """A Roman numeral up to 39 after a name: Henry VIII, World War II."""
    if not _ROMAN.fullmatch(word):
        return []
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in word]
    number = sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
    ways = (tuple(numbers.cardinal(number)), ("the", *numbers.ordinal(number)))
    return [Reading(way, "number") for way in ways]


def _acronym(acronym: re.Match[str]) -> list[Reading]:
    """Letter by letter, and as a word if it can be said as one and is not one that everybody says."""
    prefix, capitals, suffix = acronym.groups()
    letters = [*prefix, *capitals.lower()]
    if suffix:
        letters[-1] += "'s"
    ways = [Reading(tuple(letters), "spelled")]
    word = capitals.lower()
    if not prefix and len(word) > 2 and word not in _COMMON_WORDS and _can_be_said(word):
        ways.append(Reading((word + (suffix or "").replace("'", ""),), "abbreviation"))
    return ways


def _can_be_said(word: str) -> bool:
    """Whether a row of letters is sayable: English beginning and end, vowels between, no pile of consonants."""
    parts = re.split(r"([aeiouy]+)", word)
    # Of three letters only those with a vowel in the middle are words (RAM, but not API or IBM).
    if len(parts) < 3 or (len(word) == 3 and (not parts[0] or not parts[-1])):
        return False
    inner = parts[2:-1:2]
    return (
        _ONSET.fullmatch(parts[0]) is not None
        and _CODA.fullmatch(parts[-1]) is not None
        and all(len(consonants) <= 2 for consonants in inner)
        and all(len(vowels) <= 2 for vowels in parts[1::2])
    )
