"""What speakers do to the last word of a term: plural and possessive; and hyphened prefixes that are said as one word.

English spelling rules of our own: the forms only help a term to be heard, so a form too few costs little, while one
that nobody says could be heard by mistake. Where a term is no noun, or its plural is not sure, there is none.
"""

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

Inflections: TypeAlias = Literal["auto", "always", "never"]
"""Whether inflected forms are listened for: always, never, or where the glossary stays small enough."""
Inflection: TypeAlias = Literal["plural", "possessive", "hyphen"]

_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "tooth": "teeth",
    "goose": "geese", "mouse": "mice", "louse": "lice", "ox": "oxen", "leaf": "leaves", "life": "lives",
    "wife": "wives", "knife": "knives", "half": "halves", "shelf": "shelves", "wolf": "wolves", "thief": "thieves",
    "loaf": "loaves", "calf": "calves", "self": "selves", "matrix": "matrices", "vertex": "vertices",
    "index": "indices", "appendix": "appendices", "criterion": "criteria", "phenomenon": "phenomena",
    "bacterium": "bacteria", "datum": "data", "nucleus": "nuclei", "stimulus": "stimuli", "fungus": "fungi",
    "alumnus": "alumni", "larva": "larvae", "alga": "algae", "antenna": "antennas", "hero": "heroes",
    "potato": "potatoes", "tomato": "tomatoes", "echo": "echoes", "embargo": "embargoes", "veto": "vetoes",
    "quiz": "quizzes",
}  # fmt: skip
_NO_NOUN = re.compile(r".*(?:ly|ful|ous|less|able|ible|ish|ed|ical|ness)")
_ALREADY_PLURAL = re.compile(r".*[^siu]s")
_SIBILANT = re.compile(r".*(?:s|x|z|ch|sh)")
_PREFIXES = frozenset(
    "anti auto bi bio co cyber de e eco geo hyper inter intra macro mega meta micro mid mini mono multi nano neo neuro "
    "non post pre pro pseudo psycho re semi socio sub super tele trans tri ultra un under".split()
)
_HYPHENED = re.compile(r"(?:(?<=\s)|^)([A-Za-z]+)[-‐‑]([A-Za-z]{2,})")


def inflected(text: str, *, is_name: bool = False) -> Iterator[tuple[str, Inflection]]:
    """The plural and the possessive of a spoken form, as far as it has them.

    Args:
        text: lower-case words parted by one blank; the last one is inflected.
        is_name: a name has a possessive only.
    """
    start, _, last = text.rpartition(" ")
    before = f"{start} " if start else ""
    if len(last) == 1:
        # A letter's plural and possessive are said and written alike: "CNNs", "the CNN's".
        yield f"{before}{last}'s", "possessive" if is_name else "plural"
        return
    if "'" in last or len(last) < 3 or _NO_NOUN.fullmatch(last):
        return
    is_plural = _ALREADY_PLURAL.fullmatch(last) is not None
    if not is_name and not is_plural and (several := plural_of(last)) != last:
        yield before + several, "plural"
    if not is_plural:
        # That of a plural sounds as the plural does.
        yield f"{before}{last}'s", "possessive"


def plural_of(noun: str) -> str:
    """The plural of a lower-case noun, by its spelling: city -> cities, box -> boxes, analysis -> analyses."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("sis"):
        return f"{noun[:-2]}es"
    if noun.endswith("man") and len(noun) > 5 and noun not in ("human", "german", "roman"):
        return f"{noun[:-2]}en"
    if _SIBILANT.fullmatch(noun):
        return f"{noun}es"
    if re.fullmatch(r".*[^aeiou]y", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def without_hyphen(written: str) -> str:
    """A text whose hyphened prefixes are joined to their words: e-mail -> email; "" where it has none.

    "Cold-hearted" stays two words: only what is also written as one word is said as one.
    """
    joined = _HYPHENED.sub(lambda match: _joined(match[0], match[1], match[2]), written)
    return joined if joined != written else ""


def is_name(written: str) -> bool:
    """Whether a term looks like a name: each of its words begins with a capital, and none is an acronym."""
    words = re.findall(r"[^\W\d_][\w'’.-]*", written)
    return bool(words) and all(word[0].isupper() and not word[1:2].isupper() for word in words)


def _joined(whole: str, prefix: str, word: str) -> str:
    return prefix + word.lower() if prefix.lower() in _PREFIXES else whole
