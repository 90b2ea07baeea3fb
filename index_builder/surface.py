"""A written term becomes the ways in which a speaker says it: lower-case words of a to z and the apostrophe.

First the whole text is transliterated and its signs are written out, then each token gives its readings ("SQL":
"s q l"; "1984": "nineteen eighty four"), and the likeliest combinations become the spoken forms.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from anyascii import anyascii

from index_builder import numbers

MAX_FORMS = 6
# anyascii writes Greek letters as they look or sound in modern Greek; science names them.
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψως",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega sigma".split(),
        strict=True,
    )
)
_SIGNS = {
    "&": " and ", "%": " percent ", "+": " plus ", "=": " equals ", "@": " at ", "°": " degrees ", "§": " section ",
    "½": " one half ", "¼": " one quarter ", "¾": " three quarters ", "µ": " micro ", "×": " times ",
    "™": "", "®": "", "©": "", "\u00ad": "", "’": "'", "‘": "'", "ʼ": "'", "`": "'",
}  # fmt: skip
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen"}
_ABBREVIATIONS = {
    "dr": "doctor", "mr": "mister", "mrs": "missus", "st": "saint", "mt": "mount", "vs": "versus", "jr": "junior",
    "sr": "senior", "prof": "professor", "no": "number", "inc": "incorporated", "ltd": "limited",
}  # fmt: skip
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
_SIMPLE = re.compile(r"[A-Za-z]{4,}(?: [A-Za-z]{4,})*")
_MONEY = re.compile(r"([$€£¥])\s*(\d[\d,.]*\d|\d)")
_DOTTED = re.compile(r"\b(?:[A-Za-z]{1,2}\.){2,}(?:[A-Za-z]\b)?")
_ABBREVIATED = re.compile(r"\b(?:([A-Za-z]{2,4})\.(?=\s|$)|(Dr|Jr|Mr|Mrs|Mt|Sr|St|[Vv]s)(?=\s|$))")
_SHARP = re.compile(r"(?<=[A-Za-z])#")
_TOKEN = re.compile(r"\d+(?:,\d{3})+(?!\d)|\d+\.\d+|\d+(?:st|nd|rd|th)\b|\d*0s\b|\d+|[A-Za-z']+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ACRONYM = re.compile(r"([a-z]?)([A-Z]{2,5})('?s)?")

Reading: TypeAlias = tuple[str, ...]


def spoken_forms(text: str) -> list[str]:
    """The ways to say a written term, the likeliest first, none twice.

    Returns:
        at most `MAX_FORMS` texts: words of a-z and ' parted by one blank. Empty if nothing can be said.
    """
    forms = dict.fromkeys(
        " ".join(words)
        for variant in _written_variants(text)
        for words in itertools.islice(_combinations(_tokens(variant)), MAX_FORMS)
    )
    return [form for form in forms if form][:MAX_FORMS]


def can_be_spoken(text: str) -> bool:
    """Whether `spoken_forms` finds any form."""
    # Most terms are words already; only the others are worth the whole work.
    return _SIMPLE.fullmatch(text) is not None or bool(spoken_forms(text))


def plain_word(text: str) -> str:
    """A written term of one token as that one word, however it is read ("SQL": "sql"); "" for several tokens."""
    tokens = _tokens(text)
    word = tokens[0].lower().strip("'") if len(tokens) == 1 else ""
    return word if word and not word[0].isdigit() else ""


def _written_variants(text: str) -> Iterable[str]:
    """What in a written term is said: without its parenthesis; and an acronym in the parenthesis by itself."""
    outside = _PARENTHESIS.sub(" ", text).strip()
    inside = [match.strip() for match in _PARENTHESIS.findall(text)]
    if not any(character.isalnum() for character in outside):
        return inside
    return [outside, *(piece for piece in inside if _ACRONYM.fullmatch(piece))]


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_plain(text))


def _plain(text: str) -> str:
    """Transliterate to ASCII and write signs out as words."""
    if _SIMPLE.fullmatch(text):
        return text
    text = _MONEY.sub(lambda match: f"{match[2]} {_CURRENCIES[match[1]]}", text)
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = _SHARP.sub(" sharp", unicodedata.normalize("NFKC", text))
    text = "".join(_greek_name(text, index) or character for index, character in enumerate(text))
    # anyascii writes an emoji as ":name:" and leaves nothing of some signs; both part words.
    text = anyascii(text)
    text = _DOTTED.sub(lambda match: match[0].replace(".", "").upper(), text)
    text = _ABBREVIATED.sub(lambda match: _ABBREVIATIONS.get((match[1] or match[2]).lower(), match[0]), text)
    return re.sub(r"(?<=[A-Za-z])\.(?=[A-Za-z])", " dot ", text)


def _greek_name(text: str, index: int) -> str:
    """The name of a Greek letter that stands alone among other signs; "" within a Greek word."""
    name = _GREEK.get(text[index].lower(), "")
    neighbours = (text[max(0, index - 1) : index] + text[index + 1 : index + 2]).lower()
    return f" {name} " if name and not any(letter in _GREEK for letter in neighbours) else ""


def _combinations(tokens: Sequence[str]) -> Iterable[Reading]:
    """All readings of the tokens together; the first is the likeliest of each."""
    shouted = len(tokens) > 1 and any(token.isupper() and len(token) > 5 for token in tokens)
    readings = [
        ways for index, token in enumerate(tokens) if (ways := _readings(token.lower() if shouted else token, index))
    ]
    for parts in itertools.product(*readings):
        yield tuple(itertools.chain.from_iterable(parts))


def _readings(token: str, index: int) -> list[Reading]:
    """The ways to say one token, the likeliest first."""
    if token[0].isdigit():
        return [tuple(way) for way in _number(token)]
    word = token.strip("'") if token.lower() != "'s" else ""
    if not word:
        return []
    if (acronym := _ACRONYM.fullmatch(word)) is not None:
        return [*(_roman(word) if index else []), *_acronym(acronym)]
    if word in ("I", "V", "X") and index:
        return [(word.lower(),), *_roman(word)]
    return list(dict.fromkeys(_word(word)))


def _word(word: str) -> list[Reading]:
    """A word; split where a capital stands inside it; letter by letter if it is short and looks like initials."""
    ways: list[Reading] = [(word.lower(),)]
    parts = _CAMEL.findall(word)
    if len(parts) > 1 and "".join(parts) == word:
        ways.append(tuple(itertools.chain.from_iterable(_part(part) for part in parts)))
    sayable = any(vowel in word.lower() for vowel in "aeiouy")
    initials = 2 <= len(word) <= 4 and word.isalpha() and (not sayable or sum(map(str.isupper, word)) >= 2)
    if initials:
        ways.insert(len(ways) if sayable else 0, tuple(word.lower()))
    return ways


def _part(part: str) -> Reading:
    """A piece of a camel-case word: capitals in a row are letters."""
    return tuple(part.lower()) if len(part) > 1 and part.isupper() else (part.lower(),)


def _number(token: str) -> list[list[str]]:
    plain = token.replace(",", "")
    if "." in plain:
        whole, fraction = plain.split(".")
        return numbers.decimal(whole, fraction)
    count = plain.rstrip("sthndr")
    if count == plain or len(count) > 12:
        return numbers.readings(count)
    if plain.endswith("s"):
        return [numbers.plural(int(count))]
    return [numbers.ordinal(int(count))]


def _roman(word: str) -> list[Reading]:
    """A Roman numeral up to 39 after a name: Henry VIII, World War II."""
    if not _ROMAN.fullmatch(word):
        return []
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in word]
    number = sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
    return [tuple(numbers.cardinal(number)), ("the", *numbers.ordinal(number))]


def _acronym(acronym: re.Match[str]) -> list[Reading]:
    """Letter by letter, and as a word if it can be said as one and is not one that everybody says."""
    prefix, capitals, suffix = acronym.groups()
    letters = [*prefix, *capitals.lower()]
    if suffix:
        letters[-1] += "'s"
    ways: list[Reading] = [tuple(letters)]
    word = capitals.lower()
    if not prefix and len(word) > 2 and word not in _COMMON_WORDS and _can_be_said(word):
        ways.append((word + (suffix or "").replace("'", ""),))
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
